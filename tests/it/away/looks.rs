//! What these tests look at besides the server's answers.

use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncConnectionConfig, Client};

use crate::harness::*;
use crate::servers::{self, Collaboration, Passage};

/// The servers that `/readyz` says are waited for, and its status code.
pub async fn waiting_for(server: &Server) -> (u16, Vec<String>) {
    let reply = server.get("/readyz").await;
    let names = reply.json["waiting_for"].as_array().cloned();
    let names = names.unwrap_or_default();
    let names = names
        .iter()
        .map(|it| it.as_str().expect("a name").to_owned());
    (reply.status, names.collect())
}

/// Awaits that exactly these are waited for.
pub async fn awaits(server: &Server, status: u16, names: &[&str]) {
    let what = format!("the server is {status} and waits for {names:?}");
    eventually(&what, async || {
        (waiting_for(server).await == (status, names.iter().map(|it| (*it).to_owned()).collect()))
            .then_some(())
    })
    .await;
}

/// Awaits this, which may not take longer than `limit`.
pub async fn within_time<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    let took = begun.elapsed();
    assert!(is_in_time(took, limit), "{what} took {took:?}");
    done
}

/// The collaboration service at this broker, its queue bound. The exchange is the server's, and may not
/// be there yet.
pub async fn listening(broker: &str) -> Collaboration {
    let bound = async || hear(broker).await.ok();
    eventually("the queue is bound", bound).await
}

/// A connection to the logical database of this URL.
pub async fn redis_at(url: &str) -> MultiplexedConnection {
    let client = Client::open(url).expect("a URL of Redis");
    let config = AsyncConnectionConfig::new();
    let config = config.set_response_timeout(Some(PATIENCE));
    let config = config.set_connection_timeout(Some(PATIENCE));
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    connected.await.expect("Redis answers")
}

/// Whether Redis holds this key.
pub async fn holds(redis: &mut MultiplexedConnection, key: &str) -> bool {
    let held = redis::cmd("EXISTS").arg(key).query_async(redis).await;
    held.expect("Redis answers")
}

/// What stands under a session's key.
pub async fn document(redis: &mut MultiplexedConnection, session: &str) -> Option<Value> {
    let found = redis::cmd("GET").arg(session).query_async(redis).await;
    let text: Option<String> = found.ok()?;
    serde_json::from_str(&text?).ok()
}

/// Ways to the shared servers for one test alone, shut at first.
pub struct Ways {
    /// To PostgreSQL.
    pub postgres: Passage,
    /// To Redis.
    pub redis: Passage,
    /// To RabbitMQ.
    pub rabbitmq: Passage,
}

impl Ways {
    /// To these places.
    pub fn to(neighbours: &Neighbours) -> Self {
        Self {
            postgres: Passage::to(&neighbours.database.url()),
            redis: Passage::to(&neighbours.number.url()),
            rabbitmq: Passage::to(&neighbours.vhost.url()),
        }
    }

    /// A server that knows no other ways.
    pub fn options(&self, neighbours: Neighbours) -> Options {
        Options::on(Backends::from(neighbours))
            .with("DATABASE_URL", self.postgres.url())
            .with("REDIS_URL", self.redis.url())
            .with("RABBITMQ_URL", self.rabbitmq.url())
    }

    /// Lets everything through.
    pub fn open(&self) {
        for way in [&self.postgres, &self.redis, &self.rabbitmq] {
            way.open();
        }
    }
}

/// Places of one test on the servers that all tests share.
pub fn shared_neighbours() -> Neighbours {
    servers::start_all();
    Neighbours {
        database: servers::postgres().database(),
        number: servers::redis().number(),
        vhost: servers::rabbitmq().vhost(),
    }
}
