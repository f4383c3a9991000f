//! The way in for facts: ordered, never refused, bounded by what is in flight.

use std::cell::RefCell;
use std::rc::Rc;

use actix::{Actor, AsyncContext, Context, StreamHandler};
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Sends facts to one actor from any thread.
///
/// A fact is committed already, so it must not be dropped, and whoever reports it must not wait, lest
/// two actors wait for each other. The channel has no bound of its own: each ticket, match and
/// session has one write in flight, and their number is bounded.
#[derive(Debug)]
pub struct Inbox<E>(UnboundedSender<E>);

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
        let _ = self.0.send(fact);
    }
}

/// The end of an [`Inbox`] from which its actor takes.
///
/// The actor is woken by a stream, and takes what has come by itself before it looks at a command:
/// then a caller who was told something can never overtake the fact behind it.
#[derive(Debug)]
pub struct Facts<E>(Rc<RefCell<UnboundedReceiver<E>>>);

impl<E: 'static> Facts<E> {
    /// The next fact, if one has come.
    pub fn take(&self) -> Option<E> {
        self.0.borrow_mut().try_recv().ok()
    }

    /// Wakes the actor with each fact that it has not taken itself.
    pub fn wake<A>(&self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>> + StreamHandler<E>,
    {
        let receiver = Rc::clone(&self.0);
        ctx.add_stream(stream::poll_fn(move |cx| {
            receiver.borrow_mut().poll_recv(cx)
        }));
    }
}
