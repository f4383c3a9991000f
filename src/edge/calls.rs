//! Sending one command to the roster, and waiting for its answer until a deadline.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Handler, Message};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::state::{Backend, Edge, Stage};
use actors::messages::Reply;
use actors::roster::RosterActor;
use domain::{Breach, Guarantee, Timestamp};
use observability::breached;

/// Longest wait for an answer that needs the store only, in milliseconds: whoever asks hears within
/// a second that it is away.
pub const ANSWER_WITHIN_MS: u64 = 900;
/// Longest wait for the confirmation that opens a session, for which a question is looked for, in
/// milliseconds: it is answered within 5 s.
pub const CONFIRM_WITHIN_MS: u64 = 4_800;
const _: () = assert!(
    ANSWER_WITHIN_MS < 1_000 && CONFIRM_WITHIN_MS < 5_000,
    "as promised"
);

/// How often is looked whether waiting any longer makes sense.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a request may take beyond its limit on a machine that is busy.
const HANGS_AFTER: Duration = Duration::from_secs(2);

/// Sends the command that `command` makes of a deadline and a place for the answer, and waits for
/// that for [`ANSWER_WITHIN_MS`].
///
/// # Errors
///
/// [`ApiError::Busy`] where the roster has no room, [`ApiError::Unavailable`] where no answer came
/// in time: then the command may still be carried out, and asking again tells.
pub async fn call<M, T>(
    edge: &Edge,
    command: impl FnOnce(Timestamp, Reply<T>) -> M,
) -> Result<(T, &Backend), ApiError>
where
    M: Message + Send + 'static,
    M::Result: Send,
    RosterActor: Handler<M>,
    <RosterActor as Actor>::Context: ToEnvelope<RosterActor, M>,
{
    call_and_wait(edge, ANSWER_WITHIN_MS, |_| false, command).await
}

/// Like [`call`], but waits up to `within_ms` as long as `goes_on`; what is to be stored first has
/// no more time than there.
///
/// # Errors
///
/// As those of [`call`].
pub async fn call_and_wait<M, T>(
    edge: &Edge,
    within_ms: u64,
    goes_on: impl Fn(&Backend) -> bool,
    command: impl FnOnce(Timestamp, Reply<T>) -> M,
) -> Result<(T, &Backend), ApiError>
where
    M: Message + Send + 'static,
    M::Result: Send,
    RosterActor: Handler<M>,
    <RosterActor as Actor>::Context: ToEnvelope<RosterActor, M>,
{
    if edge.stage() == Stage::Stopping {
        return Err(ApiError::Stopping);
    }
    let backend = edge.backend()?;
    let (reply, mut answer) = oneshot::channel();
    let deadline = backend.clock.now().plus_ms(ANSWER_WITHIN_MS);
    backend.send(command(deadline, reply))?;
    let began = Instant::now();
    let limit = Duration::from_millis(within_ms);
    let mut patience = Duration::from_millis(ANSWER_WITHIN_MS);
    let answered = loop {
        match timeout_at(began + patience, &mut answer).await {
            Ok(answered) => break answered.ok(),
            Err(_) if patience < limit && goes_on(backend) => {
                patience = (began.elapsed() + LOOK_EVERY).min(limit);
            }
            // Closing first settles the race with an answer that comes just now.
            Err(_) => {
                answer.close();
                break answer.try_recv().ok();
            }
        }
    };
    if let Some(breach) = hung(began.elapsed(), limit) {
        breached(breach);
    }
    answered
        .map(|answered| (answered, backend))
        .ok_or(ApiError::Unavailable)
}

/// The answer to a query that an actor got, which waits for nobody else.
///
/// # Errors
///
/// [`ApiError::Unavailable`] where none came within [`ANSWER_WITHIN_MS`].
pub async fn answered<T>(answer: oneshot::Receiver<T>) -> Result<T, ApiError> {
    let patience = Duration::from_millis(ANSWER_WITHIN_MS);
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(ApiError::Unavailable),
    }
}

/// A request that was not answered in its time, whatever a backend did, has hung.
fn hung(took: Duration, limit: Duration) -> Option<Breach> {
    (took > limit + HANGS_AFTER).then_some(Breach {
        guarantee: Guarantee::NoHang,
        seen: "a request waited much longer than its time limit",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_waits_much_longer_than_its_limit_is_a_breach() {
        let limit = Duration::from_secs(5);

        assert_eq!(hung(limit + HANGS_AFTER, limit), None);
        let breach = hung(limit + HANGS_AFTER + Duration::from_millis(1), limit);
        assert_eq!(
            breach.map(|breach| breach.guarantee),
            Some(Guarantee::NoHang)
        );
    }
}
