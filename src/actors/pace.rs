//! Fairness: a busy actor gives its thread back from time to time.

use actix::{Actor, AsyncContext, Context, WrapFuture};

/// Messages after which an actor yields: an actix actor drains its whole mailbox before it looks at
/// timers, and starves every other task of its thread meanwhile.
const MESSAGES_PER_TURN: u32 = 32;

/// Counts messages towards the next yield.
#[derive(Debug, Default)]
pub struct Pace(u32);

impl Pace {
    /// One message or fact was handled.
    pub fn count(&mut self) {
        self.0 += 1;
    }

    /// Whether the actor is to yield now; then counting starts again.
    pub fn is_due(&mut self) -> bool {
        let due = self.0 >= MESSAGES_PER_TURN;
        if due {
            self.0 = 0;
        }
        due
    }
}

/// Makes `actor` handle nothing more before the other tasks of this thread had their turn.
pub fn give_way<A>(actor: &A, ctx: &mut Context<A>)
where
    A: Actor<Context = Context<A>>,
{
    ctx.wait(tokio::task::yield_now().into_actor(actor));
}
