//! Connections to the broker that can be given up while they are being made.

use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, Result};
use socket2::{SockRef, Socket};
use tokio::time::timeout;

/// The socket of one attempt. The library keeps a thread for each connection until its socket ends,
/// whoever still waits for it; and a peer that has vanished never ends it.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<Held>>);

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Socket(Socket),
    HungUp,
}

impl Line {
    /// Ends the attempt, or lets it end as soon as it has a socket.
    pub(super) fn hang_up(&self) {
        if let Held::Socket(socket) = self.replace(Held::HungUp) {
            // An error says that it has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Lets go of a connection that is made.
    pub(super) fn let_go(&self) {
        self.replace(Held::Nothing);
    }

    fn hold(&self, socket: Socket) {
        if let Held::HungUp = self.replace(Held::Socket(socket)) {
            self.hang_up();
        }
    }

    fn replace(&self, held: Held) -> Held {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut now, held)
    }
}

/// Connects; `connect_max` is the longest time until there is a socket.
///
/// # Errors
///
/// The library's own, also after [`Line::hang_up`].
pub(super) async fn dial(
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    properties: ConnectionProperties,
    line: Line,
    connect_max: Duration,
) -> Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let (host, port) = (uri.authority.host, uri.authority.port);
            let address = runtime.to_socket_addrs((host.clone(), port));
            let connecting = AsyncTcpStream::connect(&runtime, address);
            let late = |_| Err(std::io::ErrorKind::TimedOut.into());
            let stream = timeout(connect_max, connecting)
                .await
                .unwrap_or_else(late)?;
            if let AsyncTcpStream::Plain(plain) = &stream {
                line.hold(SockRef::from(plain.get_ref()).try_clone()?);
            }
            Ok(match uri.scheme {
                AMQPScheme::AMQP => stream,
                AMQPScheme::AMQPS => stream.into_tls(&host, tls.as_ref()).await?,
            })
        },
        properties,
    )
    .await
}
