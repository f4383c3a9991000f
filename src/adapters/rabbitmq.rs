//! The broker.

mod dial;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    PublisherConfirm,
};
use rand::Rng;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use dial::{Line, dial};
use ports::announcement::{CONTENT_TYPE, EXCHANGE, PERSISTENT};
use ports::{Announcement, Away, Published, Publisher};

/// Longest wait for a connection within one call; the attempt itself goes on.
const CONNECT_WAIT: Duration = Duration::from_millis(3_200);
/// After this an attempt to connect is given up: its peer has vanished, or forgot it, and the next
/// one may be answered.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Longest wait for all confirmations of one call. A connection that was forgotten on the way is noticed
/// by it, so everything is to be sent anew within 5 s.
const CONFIRM_MAX: Duration = Duration::from_secs(4);
/// Longest time that a connection may take to close.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// First and longest time from the beginning of one attempt to connect to the next one. The longest
/// one is short: everybody waits for it once the broker is back.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Seconds within which a peer that vanished is noticed, unless the URL says otherwise.
const HEARTBEAT: u16 = 10;

/// Where the broker is.
#[derive(Clone)]
pub struct RabbitOptions {
    /// `amqp://` or `amqps://`; its path is the vhost, `/` where there is none.
    pub url: String,
    /// For `amqps://`: certificates in PEM that are trusted besides the public ones.
    pub root_certificates: Option<String>,
}

impl fmt::Debug for RabbitOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitOptions").finish_non_exhaustive()
    }
}

/// The options name no broker that could be spoken to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("RabbitMQ cannot be used as configured: {0}")]
pub struct InvalidBroker(String);

/// Publishes with confirmations, over one connection that is opened when it is needed and again, for
/// ever, when it was lost.
pub struct RabbitPublisher {
    io: Handle,
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    state: Mutex<State>,
}

struct State {
    link: Link,
    wait: Duration,
}

enum Link {
    /// Not before this time, because of this.
    Down(Instant, String),
    /// Since this time.
    Connecting(Instant, JoinHandle<Result<Box<Live>, String>>),
    Live(Box<Live>),
    Closed,
}

struct Live {
    connection: Connection,
    channel: Channel,
}

impl RabbitPublisher {
    /// A publisher whose connections live on `io`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`InvalidBroker`] for a URL that cannot be used.
    pub fn new(options: &RabbitOptions, io: Handle) -> Result<Self, InvalidBroker> {
        let mut uri: AMQPUri = options.url.parse().map_err(InvalidBroker)?;
        if uri.vhost.is_empty() {
            // What the Python clients take `amqp://host/` for.
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: options.root_certificates.clone(),
        };
        let link = Link::Down(Instant::now(), "not connected yet".to_owned());
        Ok(Self {
            io,
            uri,
            tls,
            state: Mutex::new(State {
                link,
                wait: RETRY_FIRST,
            }),
        })
    }

    /// Connects unless connected.
    ///
    /// # Errors
    ///
    /// [`Away`] says why that did not work; it answers in a few seconds.
    pub fn connect(&self) -> BoxFuture<'_, Result<(), Away>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            self.live(&mut state).await.map(|_| ())
        })
    }

    /// Closes the connection. Whatever is published afterwards fails.
    pub fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            match std::mem::replace(&mut state.link, Link::Closed) {
                Link::Live(live) => live.close().await,
                Link::Connecting(_, task) => {
                    if let Ok(Ok(Ok(live))) = timeout(CLOSE_MAX, task).await {
                        live.close().await;
                    }
                }
                Link::Down(..) | Link::Closed => {}
            }
        })
    }

    async fn live<'a>(&self, state: &'a mut State) -> Result<&'a Live, Away> {
        if matches!(&state.link, Link::Live(live) if !live.is_usable()) {
            state.link = Link::Down(Instant::now(), "the connection was lost".to_owned());
        }
        match &state.link {
            Link::Down(until, reason) if Instant::now() < *until => return Err(away(reason)),
            Link::Down(..) => {
                let attempt = connect(self.uri.clone(), self.tls.clone());
                state.link = Link::Connecting(Instant::now(), self.io.spawn(attempt));
            }
            Link::Connecting(..) | Link::Live(_) | Link::Closed => {}
        }
        if let Link::Connecting(since, task) = &mut state.link {
            let since = *since;
            let connected = match timeout(CONNECT_WAIT, task).await {
                Err(_) => return Err(away("it does not answer")),
                Ok(connected) => connected.unwrap_or_else(|end| Err(end.to_string())),
            };
            match connected {
                Ok(live) => state.connected(live),
                Err(reason) => state.failed(reason, since),
            }
        }
        match &state.link {
            Link::Live(live) if live.connection.status().blocked() => {
                Err(away("it takes no messages for now (connection.blocked)"))
            }
            Link::Live(live) => Ok(live),
            Link::Down(_, reason) => Err(away(reason)),
            Link::Connecting(..) | Link::Closed => Err(away("the connection is closed")),
        }
    }
}

impl State {
    fn connected(&mut self, live: Box<Live>) {
        self.link = Link::Live(live);
        self.wait = RETRY_FIRST;
    }

    fn failed(&mut self, reason: String, since: Instant) {
        let wait = self.wait.mul_f64(rand::rng().random_range(0.5..1.0));
        self.link = Link::Down(since + wait, reason);
        self.wait = (self.wait * 2).min(RETRY_MAX);
    }
}

impl Live {
    fn is_usable(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    async fn close(self) {
        let closing = self.connection.close(200, "bye".into());
        // It may be dead already, or never answer.
        let _ = timeout(CLOSE_MAX, closing).await;
    }
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(&self, events: &[Announcement]) -> Vec<Published> {
        if events.is_empty() {
            return Vec::new();
        }
        let mut state = self.state.lock().await;
        let live = match self.live(&mut state).await {
            Ok(live) => live,
            Err(away) => return vec![Published::Unsent(away); events.len()],
        };
        let (published, is_sound) = publish_all(&live.channel, events).await;
        // A blocked connection is kept: what it holds is sent when the broker takes it, and another
        // one would be blocked as well.
        let keep = is_sound || live.connection.status().blocked();
        if !keep {
            let link = Link::Down(Instant::now(), "the connection was given up".to_owned());
            if let Link::Live(live) = std::mem::replace(&mut state.link, link) {
                self.io.spawn(live.close());
            }
        }
        published
    }
}

async fn connect(uri: AMQPUri, tls: OwnedTLSConfig) -> Result<Box<Live>, String> {
    let line = Line::default();
    let connected = timeout(CONNECT_MAX, open(uri, tls, line.clone())).await;
    match connected {
        Ok(Ok(live)) => {
            line.let_go();
            Ok(Box::new(live))
        }
        Ok(Err(error)) => {
            line.hang_up();
            Err(error.to_string())
        }
        Err(_) => {
            line.hang_up();
            Err("it did not answer".to_owned())
        }
    }
}

async fn open(uri: AMQPUri, tls: OwnedTLSConfig, line: Line) -> lapin::Result<Live> {
    let properties = ConnectionProperties::default().with_connection_name("matchmaker".into());
    let connection = dial(uri, tls, properties, line, CONNECT_MAX).await?;
    let channel = connection.create_channel().await?;
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let (exchange, topic) = (EXCHANGE.into(), ExchangeKind::Topic);
    let declared = channel.exchange_declare(exchange, topic, durable, FieldTable::default());
    declared.await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(Live {
        connection,
        channel,
    })
}

/// Publishes all, then awaits all confirmations. Also answers whether the connection can be used
/// further.
async fn publish_all(channel: &Channel, events: &[Announcement]) -> (Vec<Published>, bool) {
    let deadline = Instant::now() + CONFIRM_MAX;
    let mut sent = Vec::with_capacity(events.len());
    for event in events {
        let sending = send(channel, event);
        sent.push(match timeout_at(deadline, sending).await {
            Ok(Ok(confirm)) => Ok(confirm),
            Ok(Err(error)) => Err(away(&error.to_string())),
            Err(_) => Err(away("it takes no messages")),
        });
    }
    let mut is_sound = true;
    let mut published = Vec::with_capacity(events.len());
    for confirm in sent {
        let confirm = match confirm {
            Ok(confirm) => timeout_at(deadline, confirm).await,
            Err(away) => {
                is_sound = false;
                published.push(Published::Failed(away));
                continue;
            }
        };
        published.push(match confirm {
            Ok(Ok(Confirmation::Ack(None))) => Published::Confirmed,
            // Nobody's queue is bound: the broker returns it and acknowledges that.
            Ok(Ok(Confirmation::Ack(Some(_)))) => Published::Unroutable,
            Ok(Ok(Confirmation::Nack(_))) => Published::Failed(away("it could not keep a message")),
            Ok(Ok(Confirmation::NotRequested)) => {
                is_sound = false;
                Published::Failed(away("it does not confirm"))
            }
            Ok(Err(error)) => {
                is_sound = false;
                Published::Failed(away(&error.to_string()))
            }
            Err(_) => {
                is_sound = false;
                Published::Failed(away("it did not confirm in time"))
            }
        });
    }
    (published, is_sound)
}

async fn send(channel: &Channel, event: &Announcement) -> lapin::Result<PublisherConfirm> {
    let seconds = u64::try_from(event.created_at.as_ms().div_euclid(1_000)).unwrap_or(0);
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(event.id.to_string().into())
        .with_timestamp(seconds);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    channel
        .basic_publish(
            EXCHANGE.into(),
            event.routing_key.as_str().into(),
            options,
            event.body.as_bytes(),
            properties,
        )
        .await
}

fn away(reason: &str) -> Away {
    Away {
        backend: "RabbitMQ",
        reason: reason.to_owned(),
    }
}
