//! The collaboration service's place: takes the events of sessions from RabbitMQ.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep};

use super::Place;
use crate::events::{EventBook, Sessions};

const EXCHANGE: &str = "matching.events";
const QUEUE: &str = "collaboration_session_created";
const ROUTING_KEY: &str = "match.found";
/// How many events may be on their way without having been acknowledged.
const IN_FLIGHT: u16 = 100;
/// Time between two looks at whether all events are there.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Listens until it is dropped, and acknowledges each event.
pub struct Consumer {
    book: Rc<RefCell<EventBook>>,
    listening: AbortHandle,
    _connection: Connection,
}

impl Consumer {
    /// Declares the queue as the collaboration service does, and begins to listen.
    pub async fn start(place: &Place) -> anyhow::Result<Self> {
        let url = place.vhost.url();
        let connection = Connection::connect(&url, ConnectionProperties::default()).await;
        let connection = connection.context("RabbitMQ cannot be reached")?;
        let deliveries = subscribe(&connection).await;
        let mut deliveries = deliveries.context("the queue cannot be declared")?;
        let book = Rc::new(RefCell::new(EventBook::default()));
        let kept = Rc::clone(&book);
        let listening = spawn_local(async move {
            while let Some(Ok(delivery)) = deliveries.next().await {
                let id = delivery.properties.message_id();
                let id = id.as_ref().map(|id| id.as_str());
                kept.borrow_mut().take(id, &delivery.data);
                if delivery.ack(BasicAckOptions::default()).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            book,
            listening: listening.abort_handle(),
            _connection: connection,
        })
    }

    /// What came so far.
    pub fn book(&self) -> Ref<'_, EventBook> {
        self.book.borrow()
    }

    /// The same, to settle what is over.
    pub fn book_mut(&self) -> RefMut<'_, EventBook> {
        self.book.borrow_mut()
    }

    /// Waits until each of these sessions was announced, at most so long.
    pub async fn await_all(&self, sessions: &Sessions, limit: Duration) {
        let began = Instant::now();
        while !self.book().has_all(sessions) && began.elapsed() < limit {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn subscribe(connection: &Connection) -> lapin::Result<lapin::Consumer> {
    let channel = connection.create_channel().await?;
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let arguments = FieldTable::default;
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, arguments())
        .await?;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), durable, arguments())
        .await?;
    channel
        .queue_bind(
            QUEUE.into(),
            EXCHANGE.into(),
            ROUTING_KEY.into(),
            QueueBindOptions::default(),
            arguments(),
        )
        .await?;
    channel
        .basic_qos(IN_FLIGHT, BasicQosOptions::default())
        .await?;
    channel
        .basic_consume(
            QUEUE.into(),
            "load".into(),
            BasicConsumeOptions::default(),
            arguments(),
        )
        .await
}
