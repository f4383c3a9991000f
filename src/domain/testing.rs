//! Builders for the unit tests of this crate and of those that use it; the program has no use for them.

use uuid::Uuid;

use super::limits::Timeouts;
use super::{
    Difficulty, MatchId, Question, SessionId, SessionRecord, Ticket, TicketId, Timestamp, Topic,
    UserId, Wish,
};

pub fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

pub fn user(number: u64) -> UserId {
    UserId::parse(&format!("user-{number}")).expect("the id is short enough")
}

pub fn wish(topic: &str) -> Wish {
    Wish {
        difficulty: Difficulty::Easy,
        topic: Topic::parse(topic).expect("tests name a topic"),
    }
}

/// Ticket `number` of user `number`, enqueued `number` ms after the epoch.
pub fn ticket(number: u64) -> Ticket {
    let id = TicketId(Uuid::from_u128(u128::from(number)));
    let now = Timestamp::from_ms(number as i64);
    Ticket::new(id, user(number), wish("Array"), now, Timeouts::default())
}

pub fn match_id(number: u64) -> MatchId {
    MatchId(Uuid::from_u128(1_000_000 + u128::from(number)))
}

/// Session 1, of match 1, of users 1 and 2.
pub fn session_record() -> SessionRecord {
    SessionRecord {
        id: session_id(1),
        match_id: match_id(1),
        users: [user(1), user(2)],
        question: Question {
            id: 17,
            title: "Two Sum".into(),
            difficulty: "easy".into(),
            topics: vec!["Array".into()],
        },
        opened_at: at_ms(1_000),
        ends_at: at_ms(2_000),
        left: [false, false],
    }
}

pub fn session_id(number: u64) -> SessionId {
    SessionId(Uuid::from_u128(2_000_000 + u128::from(number)))
}
