//! PostgreSQL, Redis and RabbitMQ for tests and benchmarks: private, on free ports of loopback, in
//! temporary folders. Debian's packages have to be installed (`tests/run` sees to it); no service of the
//! machine is used or touched.
//!
//! ```ignore
//! let database = servers::postgres().database();   // a database of this test, `url()`
//! let sessions = servers::redis().number();        // a logical database of this test, `url()`
//! let events = servers::rabbitmq().vhost();        // a virtual host of this test, `url()`
//!
//! let broker = RabbitMq::own();                    // a server that this test may kill
//! let events = broker.vhost();
//! broker.kill();
//! broker.restart().await;                          // same port, same folder, same password
//! ```
//!
//! - [`postgres`], [`redis`], [`rabbitmq`] are started at their first use, once for all tests of
//!   this process, and end with it. What a test took of them is removed when it is dropped.
//! - [`Own`] is a server that belongs to one test and ends when it is dropped: [`Own::kill`]
//!   (SIGKILL to all its processes), [`Own::stop`] (in order), [`Own::pause`] and [`Own::resume`]
//!   (frozen: connections stay open, nothing answers), [`Own::restart`],
//!   [`Own::restart_empty`] (Redis only).
//! - [`Postgres::in_production`], [`Redis::in_production`], [`RabbitMq::in_production`] are set up for
//!   measuring, in a folder of one's choice.
//! - [`Passage`] is a way to a shared server on which one test, for itself alone, lets connections be
//!   cut, reset, frozen, forgotten and slow, and answers to commits be lost.
//! - [`Stub`] is a service over HTTP that hangs, fails or answers as a test tells it to;
//!   [`Collaboration`] consumes events as the collaboration service does.
//! - Nothing stays behind, even after SIGKILL to the test process: see [`process::Process`].

mod collaboration;
mod passage;
mod postgres;
pub mod process;
mod rabbitmq;
mod redis;
mod stub;

use std::ops::Deref;
use std::sync::OnceLock;

pub use collaboration::Collaboration;
pub use passage::Passage;
pub use postgres::{Postgres, PrivateDatabase};
pub use rabbitmq::{PrivateVhost, RabbitMq};
pub use redis::{PrivateNumber, Redis};
pub use stub::{Conduct, Stub};

use process::Process;

/// Whom PostgreSQL and RabbitMQ know.
const USER: &str = "matchmaker";
/// The password of all three servers.
pub const PASSWORD: &str = "known-to-tests-only";

static POSTGRES: OnceLock<Postgres> = OnceLock::new();
static REDIS: OnceLock<Redis> = OnceLock::new();
static RABBITMQ: OnceLock<RabbitMq> = OnceLock::new();

/// The PostgreSQL server that all tests share.
pub fn postgres() -> &'static Postgres {
    POSTGRES.get_or_init(Postgres::shared)
}

/// The Redis server that all tests share. It keeps nothing on disk.
pub fn redis() -> &'static Redis {
    REDIS.get_or_init(Redis::shared)
}

/// The RabbitMQ server that all tests share.
pub fn rabbitmq() -> &'static RabbitMq {
    RABBITMQ.get_or_init(RabbitMq::shared)
}

/// Starts all shared servers at the same time, where they do not run yet.
pub fn start_all() {
    std::thread::scope(|scope| {
        scope.spawn(postgres);
        scope.spawn(redis);
        scope.spawn(rabbitmq);
    });
}

/// A server whose process can be had.
pub trait HasProcess {
    #[doc(hidden)]
    fn process(&self) -> &Process;
}

/// A server that belongs to one test, which may do with it what it wants.
pub struct Own<S>(S);

impl<S: HasProcess> Own<S> {
    /// SIGKILL to all its processes.
    pub fn kill(&self) {
        self.0.process().order("kill");
    }

    /// Ends it in order, as an operator would.
    pub fn stop(&self) {
        self.0.process().order("stop");
    }

    /// Freezes all its processes: connections stay open, and nothing answers.
    pub fn pause(&self) {
        self.0.process().order("pause");
    }

    /// Lets it go on after [`Own::pause`].
    pub fn resume(&self) {
        self.0.process().order("resume");
    }

    /// Starts it again on the same port with the same data, and waits until it answers; one that
    /// runs is killed before.
    pub async fn restart(&self) {
        self.0.process().restart().await;
    }
}

impl<S> Deref for Own<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

/// Tidies up without keeping a test waiting. If the test process ends before, so do the servers.
fn in_background(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}
