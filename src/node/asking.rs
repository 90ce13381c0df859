//! Native code asks JavaScript, and waits for the answer.

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::questions::{Answer, Question, Questions};
use super::queue::Queue;
use crate::engine::{Connection, Description, Error};

/// Forgets a question whose caller has stopped waiting, for example because of a connection timeout.
struct Waiting<'a> {
    questions: &'a Questions,
    id: u32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.questions.leave(self.id);
    }
}

impl Queue {
    pub(super) async fn ask_description(
        &self,
        pool: u32,
        host: u32,
        verify_again: bool,
    ) -> Result<Description, Error> {
        let (sender, answer) = oneshot::channel();
        let id = self.questions.enter(Answer::Describe(sender))?;
        let _waiting = Waiting { questions: &self.questions, id };
        self.ask(id, Question::Describe { pool, host, verify_again });
        answer.await.unwrap_or(Err(Error::Closed))
    }

    pub(super) async fn ask_crypto(&self, task: &'static str, of: Value) -> Result<String, Error> {
        let (sender, answer) = oneshot::channel();
        let id = self.questions.enter(Answer::Crypto(sender))?;
        let _waiting = Waiting { questions: &self.questions, id };
        self.ask(id, Question::Crypto { task, of });
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Lets the application's hooks use a session until they are done with it.
    pub(super) async fn ask_connect_hook(&self, pool: u32, connection: &Connection) -> Result<(), Error> {
        let (done, mut hooks_done) = oneshot::channel();
        let (statements, mut asked) = mpsc::unbounded_channel();
        let id = self.questions.enter(Answer::ConnectHook { done, statements })?;
        let _waiting = Waiting { questions: &self.questions, id };
        self.ask(id, Question::ConnectHook { pool, process_id: connection.process_id() });
        loop {
            tokio::select! {
                answer = &mut hooks_done => return answer.unwrap_or(Err(Error::Closed)),
                Some(query) = asked.recv() => {
                    let (answer, is_over) = {
                        let query_result = connection.run_hook_query(&query.sql);
                        tokio::pin!(query_result);
                        tokio::select! {
                            answer = &mut query_result => (answer, false),
                            // A hook that has failed waits for nothing more.
                            outcome = &mut hooks_done => {
                                outcome.unwrap_or(Err(Error::Closed))?;
                                (query_result.await, true)
                            }
                        }
                    };
                    query.answer(answer);
                    if is_over {
                        return Ok(());
                    }
                }
            }
        }
    }
}
