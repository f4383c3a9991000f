//! The collaboration service's side of the broker.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

const QUEUE: &str = "collaboration_session_created";
const PATIENCE: Duration = Duration::from_secs(30);

/// The queue as the collaboration service declares it, and its consumer.
pub struct Collaboration {
    _connection: Connection,
    consumer: Consumer,
    check: Check,
}

/// What looks at every message; panics where one is not as it must be.
type Check = fn(&BasicProperties, &str);

impl Collaboration {
    /// Connects, declares and consumes.
    pub async fn listen(url: &str) -> lapin::Result<Self> {
        Self::listen_and_check(url, |_, _| ()).await
    }

    /// The same, with a look at every message that comes.
    pub async fn listen_and_check(url: &str, check: Check) -> lapin::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(QUEUE.into(), durable, FieldTable::default())
            .await?;
        channel
            .queue_bind(
                QUEUE.into(),
                "matching.events".into(),
                "match.found".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let consumer = channel
            .basic_consume(
                QUEUE.into(),
                "collaboration".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(Self {
            _connection: connection,
            consumer,
            check,
        })
    }

    /// The next message; nothing when the connection is lost.
    pub async fn next(&mut self) -> Option<(BasicProperties, String)> {
        let delivery = timeout(PATIENCE, self.consumer.next()).await;
        let delivery = delivery.expect("a message comes in time")?.ok()?;
        delivery.ack(BasicAckOptions::default()).await.ok()?;
        let body = String::from_utf8(delivery.data.clone()).expect("it is text");
        (self.check)(&delivery.properties, &body);
        Some((delivery.properties.clone(), body))
    }

    /// The bodies of the next `count` messages.
    pub async fn bodies(&mut self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        for _ in 0..count {
            bodies.push(self.next().await.expect("the connection holds").1);
        }
        bodies
    }
}
