//! Builders for the unit tests of this folder.

use uuid::Uuid;

use super::limits::Timeouts;
use super::{Difficulty, MatchId, SessionId, Ticket, TicketId, Timestamp, Topic, UserId, Wish};

pub(crate) fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

pub(crate) fn user(number: u64) -> UserId {
    UserId::parse(&format!("user-{number}")).unwrap()
}

pub(crate) fn wish(topic: &str) -> Wish {
    Wish {
        difficulty: Difficulty::Easy,
        topic: Topic::parse(topic).unwrap(),
    }
}

/// Ticket `number` of user `number`, enqueued `number` ms after the epoch.
pub(crate) fn ticket(number: u64) -> Ticket {
    let id = TicketId(Uuid::from_u128(u128::from(number)));
    let now = Timestamp::from_ms(number as i64);
    Ticket::new(id, user(number), wish("Array"), now, Timeouts::default())
}

pub(crate) fn match_id(number: u64) -> MatchId {
    MatchId(Uuid::from_u128(1_000_000 + u128::from(number)))
}

pub(crate) fn session_id(number: u64) -> SessionId {
    SessionId(Uuid::from_u128(2_000_000 + u128::from(number)))
}
