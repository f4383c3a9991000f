//! What the server under test keeps its state in.

use std::sync::Arc;

use crate::servers::{self, Own, Postgres, PrivateDatabase, PrivateNumber, PrivateVhost, Redis};

/// Decides the part of the server's environment that names its backends.
///
/// A server keeps its backends until it is dropped, so they are the same ones after a restart.
#[derive(Debug, Clone)]
pub enum Backends {
    /// Nothing but the server's own folder: SQLite, sessions, mirror and outbox in process.
    Embedded,
    /// PostgreSQL, Redis and RabbitMQ. Clones share them: two servers on one state.
    Real(Arc<Neighbours>),
}

/// What a server has on PostgreSQL, Redis and RabbitMQ; removed when dropped.
#[derive(Debug)]
pub struct Neighbours {
    /// Its database.
    pub database: PrivateDatabase,
    /// Its logical database of Redis.
    pub number: PrivateNumber,
    /// Its virtual host.
    pub vhost: PrivateVhost,
}

impl Backends {
    /// What this run of the suite is about: `TEST_BACKENDS`, else the embedded default.
    pub fn under_test() -> Self {
        match std::env::var("TEST_BACKENDS").as_deref() {
            Err(_) | Ok("" | "embedded") => Self::Embedded,
            Ok("real") => Self::real(),
            Ok(other) => panic!("TEST_BACKENDS={other} is not known; known: embedded, real"),
        }
    }

    /// A database, a logical database and a virtual host of one test on the servers that all tests
    /// share.
    pub fn real() -> Self {
        servers::start_all();
        Self::from(Neighbours {
            database: servers::postgres().database(),
            number: servers::redis().number(),
            vhost: servers::rabbitmq().vhost(),
        })
    }

    /// As [`Self::real`], with the database on a server with which the test may do what it wants.
    pub fn on_postgres(server: &Own<Postgres>) -> Self {
        start_beside(servers::redis);
        Self::from(Neighbours {
            database: server.database(),
            number: servers::redis().number(),
            vhost: servers::rabbitmq().vhost(),
        })
    }

    /// As [`Self::real`], with Redis on a server with which the test may do what it wants.
    pub fn on_redis(server: &Own<Redis>) -> Self {
        start_beside(servers::postgres);
        Self::from(Neighbours {
            database: servers::postgres().database(),
            number: server.number(),
            vhost: servers::rabbitmq().vhost(),
        })
    }

    /// The `REDIS_URL`, where there is one.
    pub fn redis_url(&self) -> String {
        match self {
            Self::Embedded => panic!("nothing but the server's own folder"),
            Self::Real(neighbours) => neighbours.number.url(),
        }
    }

    /// The variables that point the server at these backends.
    pub fn environment(&self) -> Vec<(String, String)> {
        match self {
            Self::Embedded => Vec::new(),
            Self::Real(neighbours) => [
                ("DATABASE_URL", neighbours.database.url()),
                ("REDIS_URL", neighbours.number.url()),
                ("RABBITMQ_URL", neighbours.vhost.url()),
            ]
            .map(|(name, url)| (name.to_owned(), url))
            .into(),
        }
    }
}

/// Starts another shared server and the broker at the same time, where they do not run yet.
fn start_beside<S>(other: fn() -> &'static S) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            other();
        });
        scope.spawn(servers::rabbitmq);
    });
}

impl From<Neighbours> for Backends {
    fn from(neighbours: Neighbours) -> Self {
        Self::Real(Arc::new(neighbours))
    }
}
