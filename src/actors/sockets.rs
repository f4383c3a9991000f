//! Where each user's sockets are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Recipient;
use actix::dev::SendError;
use metrics::counter;

use super::messages::{Deliver, SocketId};
use crate::domain::{Notice, UserId};
use crate::observability::{MESSAGES_SENT, SLOW_SOCKETS};

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

    /// Tells every socket that the server stops.
    pub fn close_all(&mut self) {
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
                self.too_slow.store(true, Ordering::Relaxed);
                false
            }
            Err(SendError::Closed(_)) => false,
        }
    }
}
