//! How many sockets may be open, in all and for one user.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use dashmap::DashMap;

use crate::error::ApiError;
use actors::messages::SocketId;
use domain::UserId;
use observability::Limit;
use settings::Sockets;

/// Counts open sockets.
#[derive(Debug)]
pub struct SocketGate {
    limits: Sockets,
    open: AtomicUsize,
    by_user: DashMap<UserId, usize>,
    by_worker: DashMap<ThreadId, usize>,
    next_id: AtomicU64,
}

/// One open socket's place; given back when it is dropped.
#[derive(Debug)]
pub struct SocketPlace {
    /// The socket's id.
    pub id: SocketId,
    /// Whose it is.
    pub user: UserId,
    worker: ThreadId,
    gate: Arc<SocketGate>,
}

impl SocketGate {
    /// Nobody is connected yet.
    pub fn new(limits: Sockets) -> Self {
        Self {
            limits,
            open: AtomicUsize::new(0),
            by_user: DashMap::new(),
            by_worker: DashMap::new(),
            next_id: AtomicU64::new(1),
        }
    }

    /// How the sockets are kept.
    pub fn limits(&self) -> Sockets {
        self.limits
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many users have one.
    pub fn users(&self) -> usize {
        self.by_user.len()
    }

    /// How many are open on each thread that has had one, the most first.
    pub fn by_worker(&self) -> Vec<usize> {
        let mut sockets: Vec<usize> = self.by_worker.iter().map(|worker| *worker).collect();
        sockets.sort_unstable_by(|one, other| other.cmp(one));
        sockets
    }

    /// A place for one more socket of `user`.
    ///
    /// # Errors
    ///
    /// [`ApiError::TooManySockets`] where the user has as many as allowed, [`ApiError::Busy`] where
    /// the server has.
    pub fn enter(self: &Arc<Self>, user: UserId) -> Result<SocketPlace, ApiError> {
        let mut of_user = self.by_user.entry(user.clone()).or_insert(0);
        if *of_user >= self.limits.per_user_max {
            Limit::SocketsOfUser.reached();
            return Err(ApiError::TooManySockets);
        }
        let within = |open: usize| (open < self.limits.max).then_some(open + 1);
        if self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_err()
        {
            Limit::Sockets.reached();
            let unused = *of_user == 0;
            drop(of_user);
            if unused {
                self.by_user.remove_if(&user, |_, sockets| *sockets == 0);
            }
            return Err(ApiError::Busy);
        }
        *of_user += 1;
        drop(of_user);
        let worker = thread::current().id();
        *self.by_worker.entry(worker).or_insert(0) += 1;
        let id = SocketId(self.next_id.fetch_add(1, Ordering::Relaxed));
        Ok(SocketPlace {
            id,
            user,
            worker,
            gate: Arc::clone(self),
        })
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut sockets) = self.gate.by_worker.get_mut(&self.worker) {
            *sockets -= 1;
        }
        self.gate.by_user.remove_if_mut(&self.user, |_, sockets| {
            *sockets -= 1;
            *sockets == 0
        });
    }
}
