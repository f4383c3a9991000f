//! The rules, pure: time, ids and input go in, decisions come out.
//!
//! Nothing here waits, reads a clock, draws a random number or knows actix. A function that returns
//! an error has changed nothing. Effects are values, to be carried out in order by whoever called;
//! a notice or an answer is only ever returned after the store has confirmed what it tells.

pub mod bucket;
pub mod limits;
pub mod matches;
mod notices;
mod pairing;
mod queue;
mod retry;
mod roster;
mod sessions;
#[doc(hidden)]
pub mod testing;
mod tickets;
mod values;
mod writes;

pub use notices::{
    AskAnswer, Breach, CallId, ExpiryReason, Guarantee, LeaveAnswer, Notice, ProposalAnswer,
    WithdrawAnswer,
};
pub use pairing::oldest_pair;
pub use queue::Queue;
pub use retry::Backoff;
pub use roster::{Holder, Roster};
pub use sessions::{Question, Session, SessionEffect, SessionRecord};
pub use tickets::{Avoided, Place, Ticket, TicketOutcome, Wish};
pub use values::{
    BucketKey, Difficulty, EventId, InvalidValue, MatchId, SessionId, TicketId, Timestamp, Topic,
    TopicKey, UserId,
};
pub use writes::{Ending, Fate, Proposal, Refusal, Side, Write, WriteOutcome, confirmed_with};
