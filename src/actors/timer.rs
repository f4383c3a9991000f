//! A timer that only wakes its actor up.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, SpawnHandle};

use domain::{Breach, Guarantee, Timestamp};

/// How late a deadline may be looked at before that counts as not kept, in milliseconds.
const LATE_MS_MAX: u64 = 10_000;

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

    /// The timer has gone off. Reports a deadline that was looked at far too late.
    pub fn went_off(&mut self, now: Timestamp) -> Option<Breach> {
        let (due, _) = self.armed.take()?;
        (now.ms_since(due) > LATE_MS_MAX).then_some(Breach {
            guarantee: Guarantee::TimeKept,
            seen: "a deadline was looked at much later than it was due",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed_for(due_ms: i64) -> Timer {
        Timer {
            armed: Some((Timestamp::from_ms(due_ms), SpawnHandle::default())),
        }
    }

    #[test]
    fn a_deadline_that_is_looked_at_far_too_late_is_a_breach() {
        let in_time = armed_for(1_000).went_off(Timestamp::from_ms(11_000));
        let late = armed_for(1_000).went_off(Timestamp::from_ms(11_001));

        assert_eq!(in_time, None);
        assert_eq!(
            late.map(|breach| breach.guarantee),
            Some(Guarantee::TimeKept)
        );
    }
}
