//! A timer that only wakes its actor up.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, SpawnHandle};

use crate::domain::Timestamp;

/// The one timer of an actor. Waking too early is harmless: the domain looks at the time itself.
#[derive(Debug, Default)]
pub struct Timer {
    armed: Option<(Timestamp, SpawnHandle)>,
}

impl Timer {
    /// Wakes the actor at `next`, unless it is to be woken earlier anyway.
    pub fn arm<A>(
        &mut self,
        next: Option<Timestamp>,
        now: Timestamp,
        ctx: &mut Context<A>,
        wake: fn(&mut A, &mut Context<A>),
    ) where
        A: Actor<Context = Context<A>>,
    {
        let Some(next) = next else {
            return;
        };
        if let Some((at, handle)) = self.armed {
            if at <= next {
                return;
            }
            ctx.cancel_future(handle);
        }
        let delay = Duration::from_millis(next.ms_since(now));
        self.armed = Some((next, ctx.run_later(delay, wake)));
    }

    /// The timer has gone off.
    pub fn went_off(&mut self) {
        self.armed = None;
    }
}
