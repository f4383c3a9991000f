//! Fairness: a busy actor gives its thread back from time to time.

use actix::{Actor, AsyncContext, Context, WrapFuture};

/// Messages after which an actor yields: an actix actor drains its whole mailbox before it looks at
/// timers, and starves every other task of its thread meanwhile.
const MESSAGES_PER_TURN: u32 = 32;

/// Counts messages towards the next yield.
#[derive(Debug, Default)]
pub struct Pace(u32);

impl Pace {
    /// One message was handled; `true` where the actor is to yield now.
    pub fn step(&mut self) -> bool {
        self.0 = (self.0 + 1) % MESSAGES_PER_TURN;
        self.0 == 0
    }
}

/// Makes `actor` handle nothing more before the other tasks of this thread had their turn.
pub fn give_way<A>(actor: &A, ctx: &mut Context<A>)
where
    A: Actor<Context = Context<A>>,
{
    ctx.wait(tokio::task::yield_now().into_actor(actor));
}
