//! The way in for facts: ordered, never refused, bounded by what is in flight.

use std::cell::RefCell;
use std::rc::Rc;

use actix::{Actor, AsyncContext, Context, StreamHandler};
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use domain::{Breach, Guarantee};
use observability::{Cause, Entered};

/// Sends facts to one actor from any thread.
///
/// A fact is committed already, so it must not be dropped, and whoever reports it must not wait, lest
/// two actors wait for each other. The channel has no bound of its own: each ticket, match and
/// session has one write in flight, and their number is bounded.
#[derive(Debug)]
pub struct Inbox<E>(UnboundedSender<Caused<E>>);

/// A fact, and the request that led to it.
#[derive(Debug)]
pub struct Caused<E> {
    cause: Cause,
    fact: E,
}

impl<E> Caused<E> {
    /// The fact; what is done about it until the guard is dropped is done for its request.
    pub fn enter(self) -> (E, Entered) {
        (self.fact, self.cause.enter())
    }
}

impl<E> Clone for Inbox<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Inbox<E> {
    /// An inbox, and the end from which its actor takes.
    pub fn new() -> (Self, Facts<E>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), Facts(Rc::new(RefCell::new(receiver))))
    }

    /// Reports a fact. An actor that is gone has nobody left to whom the fact matters.
    pub fn report(&self, fact: E) {
        let cause = Cause::current();
        let _ = self.0.send(Caused { cause, fact });
    }
}

/// The end of an [`Inbox`] from which its actor takes.
///
/// The actor is woken by a stream, and takes what has come by itself before it looks at a command:
/// then a caller who was told something can never overtake the fact behind it.
#[derive(Debug)]
pub struct Facts<E>(Rc<RefCell<UnboundedReceiver<Caused<E>>>>);

impl<E: 'static> Facts<E> {
    /// The next fact, if one has come.
    pub fn take(&self) -> Option<Caused<E>> {
        self.0.borrow_mut().try_recv().ok()
    }

    /// Reports that more facts wait than there can be, if they are what they should be.
    pub fn overfull(&self, facts_max: usize) -> Option<Breach> {
        (self.0.borrow().len() > facts_max).then_some(Breach {
            guarantee: Guarantee::Bounded,
            seen: "more facts wait for an actor than writes can be in flight",
        })
    }

    /// Wakes the actor with each fact that it has not taken itself.
    pub fn wake<A>(&self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>> + StreamHandler<Caused<E>>,
    {
        let receiver = Rc::clone(&self.0);
        ctx.add_stream(stream::poll_fn(move |cx| {
            receiver.borrow_mut().poll_recv(cx)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use observability::RequestId;

    #[test]
    fn facts_come_out_in_the_order_in_which_they_were_reported() {
        let (inbox, facts) = Inbox::new();
        let other = inbox.clone();

        inbox.report(1);
        other.report(2);
        inbox.report(3);

        let taken = std::iter::from_fn(|| facts.take()).map(|taken| taken.fact);
        assert_eq!(taken.collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_fact_is_taken_in_for_the_request_for_which_it_was_reported() {
        let (inbox, facts) = Inbox::new();
        let request = RequestId::fresh();
        {
            let _entered = Cause::of_request(request.clone(), None, None).enter();
            inbox.report(());
        }
        inbox.report(());

        let seen = std::iter::from_fn(|| facts.take()).map(|taken| {
            let ((), _entered) = taken.enter();
            Cause::current().is_for(&request)
        });
        assert_eq!(seen.collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn more_facts_than_there_can_be_are_a_breach() {
        let (inbox, facts) = Inbox::new();
        inbox.report(());
        inbox.report(());

        assert_eq!(facts.overfull(2), None);
        inbox.report(());
        let breach = facts.overfull(2).map(|breach| breach.guarantee);
        assert_eq!(breach, Some(Guarantee::Bounded));
    }
}
