//! Results remembered under an idempotency key.

use std::sync::Arc;

use super::entries::{self, GET_WITH_EXPIRY, RENEW, SET};
use super::keys::Prefix;
use super::table::{DELETE_BY_KEY, Definition, Index, Table};
use super::{Place, TableRef};
use crate::link::{Link, Reply};

static DEFINITION: Definition = Definition {
    section: "idempotency",
    indexes: &[Index {
        name: Some("idx_idempotency_expires"),
        leads_with: "expires_at",
        on: "(expires_at) WHERE expires_at IS NOT NULL",
    }],
    additions: &[],
    touched: "updated_at",
    templates: &[GET_WITH_EXPIRY, SET, RENEW, DELETE_BY_KEY],
};

pub struct Idempotency {
    place: Arc<Place>,
}

impl Idempotency {
    pub fn new(link: &Arc<Link>, key_prefix: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, "go_goscope_idempotency", create);
        Self { place: Place::new(link, table, Prefix::new(key_prefix, "")) }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    /// `{ value, expiresAt? }`, or nothing.
    pub fn get(&self, key: String, reply: Reply) {
        entries::get_with_expiry(&self.place, key, reply);
    }

    /// `ttl` in milliseconds; none for no expiry.
    pub fn set(&self, key: String, value: String, ttl: Option<f64>, reply: Reply) {
        entries::set(&self.place, key, value, ttl, reply);
    }

    pub fn delete(&self, key: String, reply: Reply) {
        entries::delete(&self.place, key, reply);
    }
}
