//! The class of the locks.

use std::sync::Arc;

use napi::Error as NapiError;
use napi::bindgen_prelude::Result;
use napi_derive::napi;

use crate::node::calls::Calls;
use crate::node::client::Client;
use crate::node::operation::Operation;
use crate::node::pool::Pool;
use crate::store;

#[napi(custom_finalize)]
pub struct Locks {
    pub(super) store: store::Locks,
    calls: Arc<Calls>,
}

#[napi]
impl Locks {
    /// `namespace` stands between prefix and key; if absent, the namespace of the application's own locks.
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool, key_prefix: String, create_tables: bool, namespace: Option<String>) -> Self {
        let namespace = namespace.unwrap_or_else(|| "lock:".into());
        let store = store::Locks::new(&pool.engine, &key_prefix, &namespace, create_tables);
        Self { store, calls: pool.calls.clone() }
    }

    /// The permits of semaphores, in the same table. A key that it is given is that of a permit or, in `lock` and `holders`, of
    /// a semaphore. `key_prefix` is the same, too.
    #[napi(catch_unwind)]
    pub fn permits(&self, key_prefix: String) -> Self {
        Self { store: self.store.permits(&key_prefix), calls: self.calls.clone() }
    }

    /// The same provider, whose calls run on a connection of the application.
    #[napi(catch_unwind)]
    pub fn within(&self, client: &Client) -> Self {
        Self { store: self.store.within(&client.client), calls: self.calls.clone() }
    }

    /// Whether the table has a function for the check of a fencing token, which is done unless the answer is false.
    #[napi(catch_unwind)]
    pub fn check_token(&self, slot: u32, key: String, token: String, key_prefix: String) -> Result<()> {
        let token = store::Token::parse(&token)
            .ok_or_else(|| NapiError::from_reason(format!("'{token}' is no fencing token")))?;
        self.store.check_token(key, token, key_prefix, self.calls.reply(slot, Operation::AssertHeld));
        Ok(())
    }

    /// `retries`: transient failures are retried. Otherwise the wait fails when the server cannot be reached.
    #[napi(catch_unwind)]
    pub fn until_free(&self, slot: u32, key: String, retries: bool) {
        let (given_up, reply) = self.calls.wait(slot, Operation::Lock);
        self.store.until_free(key, retries, given_up, reply);
    }

    #[napi(catch_unwind)]
    pub fn acquire(&self, slot: u32, key: String, ttl: f64, owner: Option<String>, is_reentrant: bool) {
        self.store.acquire(key, ttl, owner, is_reentrant, self.calls.reply(slot, Operation::Acquire));
    }

    /// Whether a call that does not re-enter takes nothing, since the table has no column for its id.
    #[napi(catch_unwind)]
    pub fn lacks_acquisitions(&self) -> bool {
        self.store.lacks_acquisitions()
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // as in `Circuits::set_state`
    pub fn extend(
        &self,
        slot: u32,
        key: String,
        ttl: f64,
        owner: String,
        retry_time: Option<f64>,
        lease: Option<u32>,
        token: Option<String>,
    ) {
        let reply = self.calls.reply(slot, Operation::Extend);
        let token = token.as_deref().and_then(store::Token::parse);
        self.store.extend(key, ttl, owner, retry_time, lease, token, reply);
    }

    /// Acquires a lock, or one of so many permits of a semaphore, when it is free. `lease` is the number that identifies this wait and the lease that results
    /// from it. JavaScript is notified if a renewed lease is lost.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // as in `Circuits::set_state`
    pub fn lock(
        &self,
        slot: u32,
        lease: u32,
        key: String,
        ttl: f64,
        owner: Option<String>,
        wait: Option<f64>,
        renew: bool,
        permits: Option<u32>,
    ) {
        let operation = if permits.is_some() { Operation::AcquirePermit } else { Operation::Lock };
        let wanted = store::Wanted { key, permits, ttl, owner, wait, renew };
        // A weak reference: the environment's end does not wait for a lease that may still have a notification.
        let queue = Arc::downgrade(&self.calls.queue);
        let lost = move || {
            if let Some(queue) = queue.upgrade() {
                queue.notify(lease, ());
            }
        };
        self.store.lock(lease, wanted, lost, self.calls.reply(slot, operation));
    }

    #[napi(catch_unwind)]
    pub fn give_up(&self, lease: u32) {
        self.store.give_up(lease);
    }

    /// How many milliseconds are left of a lease, by this process's own clock.
    #[napi(catch_unwind)]
    pub fn left(&self, lease: u32) -> Option<f64> {
        self.store.left(lease)
    }

    /// Ends the renewal of a lease.
    #[napi(catch_unwind)]
    pub fn forget(&self, lease: u32) {
        self.store.forget(lease);
    }

    #[napi(catch_unwind)]
    pub fn release(&self, slot: u32, key: String, owner: String, token: Option<String>) {
        let token = token.as_deref().and_then(store::Token::parse);
        self.store.release(key, owner, token, self.calls.reply(slot, Operation::Release));
    }

    /// Releases a lock that is not used any more, also while the pool is being ended. From now on the release is
    /// owed, so this is answered at once; see `Bridge::let_go`.
    #[napi(catch_unwind)]
    pub fn give_back(&self, slot: u32, key: String, owner: String, ttl: f64) {
        self.store.give_back(key, owner, ttl, Some(self.calls.only_counted(Operation::Release)));
        self.calls.queue.reply(slot).settle(Ok(()));
    }

    /// Whether the owner has held it until now.
    #[napi(catch_unwind)]
    pub fn release_held(&self, slot: u32, key: String, owner: String) {
        self.store.release_held(key, owner, self.calls.reply(slot, Operation::Release));
    }

    /// Whether the lock still belonged to the owner, expired or not.
    #[napi(catch_unwind)]
    pub fn release_one(&self, slot: u32, key: String, owner: String) {
        self.store.release_one(key, owner, self.calls.reply(slot, Operation::Release));
    }

    #[napi(catch_unwind)]
    pub fn is_valid(&self, slot: u32, key: String, owner: String) {
        self.store.is_valid(key, owner, self.calls.reply(slot, Operation::IsValid));
    }

    #[napi(catch_unwind)]
    pub fn holder(&self, slot: u32, key: String) {
        self.store.holder(key, self.calls.reply(slot, Operation::Holder));
    }

    #[napi(catch_unwind)]
    pub fn holders(&self, slot: u32, semaphore: String, permits: u32) {
        self.store.holders(semaphore, permits, self.calls.reply(slot, Operation::Holders));
    }

    #[napi(catch_unwind)]
    pub fn force_release(&self, slot: u32, key: String) {
        self.store.force_release(key, self.calls.reply(slot, Operation::ForceRelease));
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        self.store.forget_all();
    }
}
