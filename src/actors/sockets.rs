//! Where each user's sockets are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Recipient;
use actix::dev::SendError;
use metrics::counter;

use super::messages::{Deliver, SocketId};
use domain::{Notice, UserId};
use observability::{Limit, MESSAGES_SENT, SLOW_SOCKETS};

/// One open socket.
#[derive(Debug)]
struct Socket {
    id: SocketId,
    recipient: Recipient<Deliver>,
    too_slow: Arc<AtomicBool>,
}

/// All open sockets, by user.
#[derive(Debug, Default)]
pub struct Sockets {
    by_user: HashMap<UserId, Vec<Socket>>,
    closing: bool,
}

impl Sockets {
    /// A socket was opened.
    pub fn add(
        &mut self,
        user: UserId,
        id: SocketId,
        recipient: Recipient<Deliver>,
        too_slow: Arc<AtomicBool>,
    ) {
        let socket = Socket {
            id,
            recipient,
            too_slow,
        };
        if self.closing {
            // It came in while the others were told to go.
            socket.deliver(Deliver::GoingAway);
            return;
        }
        self.by_user.entry(user).or_default().push(socket);
    }

    /// A socket was closed.
    pub fn remove(&mut self, user: &UserId, id: SocketId) {
        if let Some(sockets) = self.by_user.get_mut(user) {
            sockets.retain(|socket| socket.id != id);
            if sockets.is_empty() {
                self.by_user.remove(user);
            }
        }
    }

    /// Hands `notice` to every socket of `user`. Nobody is waited for: a socket with no room is
    /// told to close, and its client finds everything when it comes back.
    pub fn tell(&mut self, user: &UserId, notice: Notice) {
        let Some(sockets) = self.by_user.get_mut(user) else {
            return;
        };
        let notice = Arc::new(notice);
        sockets.retain(|socket| {
            let message = Deliver::Notice {
                to: user.clone(),
                notice: Arc::clone(&notice),
            };
            socket.deliver(message)
        });
        if sockets.is_empty() {
            self.by_user.remove(user);
        }
    }

    /// Tells one socket only.
    pub fn tell_one(&self, user: &UserId, id: SocketId, notice: Notice) {
        if let Some(sockets) = self.by_user.get(user)
            && let Some(socket) = sockets.iter().find(|socket| socket.id == id)
        {
            socket.deliver(Deliver::Notice {
                to: user.clone(),
                notice: Arc::new(notice),
            });
        }
    }

    /// Tells every socket that the server stops, those that come later included.
    pub fn close_all(&mut self) {
        self.closing = true;
        for socket in self.by_user.drain().flat_map(|(_, sockets)| sockets) {
            socket.deliver(Deliver::GoingAway);
        }
    }
}

impl Socket {
    /// False where the socket is not to be used again.
    fn deliver(&self, message: Deliver) -> bool {
        match self.recipient.try_send(message) {
            Ok(()) => {
                counter!(MESSAGES_SENT).increment(1);
                true
            }
            Err(SendError::Full(_)) => {
                counter!(SLOW_SOCKETS).increment(1);
                Limit::SocketEvents.reached();
                self.too_slow.store(true, Ordering::Relaxed);
                false
            }
            Err(SendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler};

    use super::*;
    use domain::testing::{ticket, user};

    /// A socket whose client does not read: its actor is not run while a test does not wait.
    struct Deaf;

    impl Actor for Deaf {
        type Context = Context<Self>;
    }

    impl Handler<Deliver> for Deaf {
        type Result = ();

        fn handle(&mut self, _: Deliver, _: &mut Self::Context) {}
    }

    fn notice() -> Notice {
        Notice::TicketExpired {
            ticket: ticket(1).id,
        }
    }

    #[actix_rt::test]
    async fn a_socket_without_room_is_told_to_close_and_another_of_the_same_user_hears_on() {
        let (deaf, hearing) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut sockets = Sockets::default();
        sockets.add(
            user(1),
            SocketId(1),
            Deaf.start().recipient(),
            Arc::clone(&deaf),
        );
        while !deaf.load(Ordering::Relaxed) {
            sockets.tell(&user(1), notice());
        }

        sockets.add(
            user(1),
            SocketId(2),
            Deaf.start().recipient(),
            Arc::clone(&hearing),
        );
        sockets.tell(&user(1), notice());

        let left: Vec<_> = sockets.by_user[&user(1)]
            .iter()
            .map(|socket| socket.id)
            .collect();
        assert_eq!(left, [SocketId(2)]);
        assert!(!hearing.load(Ordering::Relaxed));
    }

    #[actix_rt::test]
    async fn a_socket_that_comes_while_the_server_stops_is_not_kept() {
        let mut sockets = Sockets::default();
        sockets.close_all();

        sockets.add(
            user(1),
            SocketId(1),
            Deaf.start().recipient(),
            Arc::default(),
        );

        assert!(sockets.by_user.is_empty());
    }
}
