//! Sending one command to the roster, and waiting for its answer until a deadline.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Handler, Message};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::ApiError;
use super::state::{Backend, Edge, Stage};
use crate::actors::messages::Reply;
use crate::actors::roster::RosterActor;
use crate::domain::{Breach, Guarantee, Timestamp};
use crate::observability::breached;

/// Longest wait for an answer that needs the store only, in milliseconds.
pub const ANSWER_WITHIN_MS: u64 = 2_000;
/// Longest wait for a confirmation, which may have to look for a question, in milliseconds.
pub const CONFIRM_WITHIN_MS: u64 = 5_000;

/// What a request may take beyond its limit on a machine that is busy.
const HANGS_AFTER: Duration = Duration::from_secs(2);

/// Sends the command that `command` makes of a deadline and a place for the answer.
///
/// # Errors
///
/// [`ApiError::Busy`] where the roster has no room, [`ApiError::Unavailable`] where no answer came
/// in time: then the command may still be carried out, and asking again tells.
pub async fn call<M, T>(
    edge: &Edge,
    within_ms: u64,
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
    let deadline = backend.clock.now().plus_ms(within_ms);
    backend
        .roster
        .try_send(command(deadline, reply))
        .map_err(|_| ApiError::Busy)?;
    let began = Instant::now();
    let limit = Duration::from_millis(within_ms);
    let answered = match tokio::time::timeout(limit, &mut answer).await {
        Ok(answered) => answered.ok(),
        // Closing first settles the race with an answer that comes just now.
        Err(_) => {
            answer.close();
            answer.try_recv().ok()
        }
    };
    if let Some(breach) = hung(began.elapsed(), limit) {
        breached(breach);
    }
    answered
        .map(|answered| (answered, backend))
        .ok_or(ApiError::Unavailable)
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
