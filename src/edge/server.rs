//! The server around the application: its threads, and what holds for each connection.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_rt::Arbiter;
use actix_web::dev::ServerHandle;
use actix_web::rt::net::TcpStream;
use actix_web::{HttpServer, web};
use socket2::SockRef;
use tokio::sync::watch;
use tracing::warn;

use super::{Edge, app};
use domain::limits::{REQUEST_READ_MS, UNSENT_BYTES_MAX};

/// Time for clients to take the last of what they were sent, in seconds; nothing is being answered any
/// more by then, and one that does not read would be waited for in vain.
const LAST_BYTES_FOR_S: u64 = 2;

/// Says to an application that the port is open.
struct Opened;

/// Serves HTTP as soon as the port is `open`, on at most this many connections at a time; others wait
/// until one ends. `begin` is run at once, on the first thread that serves.
///
/// # Errors
///
/// What the system says where nobody can listen there.
pub fn serve(
    edge: &web::Data<Edge>,
    listener: TcpListener,
    open: watch::Receiver<bool>,
    begin: Box<dyn FnOnce() + Send>,
    connections_max: usize,
) -> io::Result<ServerHandle> {
    let settings = &edge.settings;
    let workers = settings
        .http
        .workers
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    let unread = Duration::from_millis(settings.sockets.unread_ms);
    let begin = Arc::new(Mutex::new(Some(begin)));
    let edge = edge.clone();
    let application = move || {
        let begin = begin.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(begin) = begin {
            begin();
        }
        let open = open.clone();
        // No thread accepts connections before all of them have their application.
        app(edge.clone()).data_factory(move || {
            let mut open = open.clone();
            async move {
                if open.wait_for(|open| *open).await.is_err() {
                    // The start has failed, and whoever waits for it says so.
                    pending::<()>().await;
                }
                Ok::<_, Infallible>(Opened)
            }
        })
    };
    let server = HttpServer::new(application)
        .on_connect(move |connection, _| {
            if let Some(stream) = connection.downcast_ref::<TcpStream>() {
                prepare(stream, unread);
            }
        })
        .client_request_timeout(Duration::from_millis(REQUEST_READ_MS))
        .client_disconnect_timeout(Duration::from_secs(2))
        .keep_alive(Duration::from_secs(75))
        .shutdown_timeout(LAST_BYTES_FOR_S)
        .workers(workers)
        .max_connections(connections_max.div_ceil(workers))
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    // Its thread waits for the applications without doing anything else.
    Arbiter::new().spawn(async move {
        if let Err(error) = server.await {
            warn!("HTTP is not served any more: {error}");
        }
    });
    Ok(handle)
}

/// Where the kernel refuses one of these, the connection works all the same.
fn prepare(stream: &TcpStream, unread: Duration) {
    let socket = SockRef::from(stream);
    // The actor of a socket whose client does not read is not run any more, so it cannot
    // see to this itself. The kernel counts a window that stays shut as well.
    let _ = socket.set_tcp_user_timeout(Some(unread));
    // What such a client costs: the kernel would keep megabytes for it.
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    // An event after an answer would wait for the client's delayed acknowledgement.
    let _ = socket.set_tcp_nodelay(true);
}
