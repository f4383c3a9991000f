//! Thin shells around the domain: message in, domain call, effects out.
//!
//! [`RosterActor`](roster::RosterActor) is started first and knows everybody;
//! [`MatchmakerActor`](matchmaker::MatchmakerActor) owns one bucket,
//! [`SessionActor`](session::SessionActor) one match and then its session. Commands travel through
//! bounded mailboxes and may be refused; facts travel through an [`Inbox`], are never
//! dropped, and are always looked at before the next command. What is stored is published on the
//! [`Board`](board::Board), from which HTTP reads are answered.

mod asked;
pub mod board;
mod calls;
mod core;
pub mod decisions;
mod inbox;
pub mod matchmaker;
pub mod messages;
mod pace;
pub mod roster;
pub mod session;
mod sockets;
mod timer;
mod tokens;

use actix::{Actor, Addr, Context};

pub use self::core::{Core, CoreSettings};
pub use inbox::Inbox;

/// Messages that wait at the roster; one more makes its sender wait.
pub const ROSTER_MAILBOX: usize = 4_096;
/// Commands that wait at one bucket; one more is refused.
pub const BUCKET_MAILBOX: usize = 1_024;
/// Commands that wait at one match or session; one more is refused.
pub const SESSION_MAILBOX: usize = 32;
/// Events that wait for one socket; one more closes it as too slow.
pub const SOCKET_MAILBOX: usize = 256;

/// Starts an actor whose mailbox has its size from the first message on. Set when the actor has
/// started, it would come too late: a burst arrives before that, and meets actix's default of 16.
fn start<A>(actor: A, mailbox: usize) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let mut context = Context::new();
    context.set_mailbox_capacity(mailbox);
    context.run(actor)
}
