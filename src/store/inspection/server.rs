//! Reads the server, and whether the session of the request is shared.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio_postgres::Row;

use super::{Report, answer, catalogue};
use crate::engine::{Answer, Arg, Call, Connection, Error, Kind, Prepare, Statement};

/// The call, and the part that learns from the connection that will run it whether the session is its own.
pub(super) fn look() -> (Arc<Session>, OfServer) {
    let session = Arc::new(Session { is_own: AtomicBool::new(false), refuses: AtomicBool::new(false) });
    let statement = Statement::new(Some(catalogue::SERVER.into()), None, None, &[Kind::Text], 0);
    let call = OfServer { session: session.clone(), statement: Arc::new(statement), args: [Arg::Text(None)] };
    (session, call)
}

/// The decision of the connection when it was opened. The mark that the session shows is no proof: a session that a
/// pooler shares may have been started with another client's mark.
pub(super) struct Session {
    is_own: AtomicBool,
    /// A pooler has refused a transaction: it shares sessions between statements. Writes of the adapters are
    /// transactions on a shared session.
    refuses: AtomicBool,
}

impl Prepare for Session {
    /// Never: each attempt may run on another connection, which has to be checked.
    fn is_prepared(&self) -> bool {
        false
    }

    fn prepare<'a>(
        &'a self,
        connection: &'a Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        self.is_own.store(connection.is_own(), Relaxed);
        Box::pin(async {
            // It ends the connection with that. The next statements run on another connection.
            if !connection.is_own() && !self.refuses.load(Relaxed) {
                let began = connection.execute("BEGIN").await.is_ok();
                self.refuses.store(!(began && connection.execute("COMMIT").await.is_ok()), Relaxed);
            }
            Ok(())
        })
    }

    fn invalidate(&self) -> bool {
        false
    }
}

pub(super) struct OfServer {
    session: Arc<Session>,
    statement: Arc<Statement>,
    args: [Arg; 1],
}

impl Call for OfServer {
    type Output = Option<Report>;

    /// Follows the preparation on the same connection.
    fn bind(&mut self) -> Arc<Statement> {
        let Session { is_own, refuses } = &*self.session;
        let (is_own, takes) = (is_own.load(Relaxed), !refuses.load(Relaxed));
        self.args = [Arg::text(format!(r#"{{"isOwn":{is_own},"takesTransactions":{takes}}}"#))];
        self.statement.clone()
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<Option<Report>>, Error> {
        answer(rows)
    }
}
