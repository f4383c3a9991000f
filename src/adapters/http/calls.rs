//! Calls over HTTP. The client's parts cannot leave their thread, so it has one of its own.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use awc::error::{PayloadError, SendRequestError};
use awc::http::header::{ACCEPT, AUTHORIZATION};
use awc::{Client, Connector};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;
use url::Url;

use crate::ports::BearerToken;

/// Calls that may wait for the thread to take them up.
const WAITING_MAX: usize = 1_024;
/// Connections at a time, over all services; each service bounds its own calls.
const CONNECTIONS_MAX: usize = 1_024;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A handle to the thread that makes the calls; it ends with the last one.
#[derive(Debug, Clone)]
pub struct HttpCalls {
    calls: mpsc::Sender<Call>,
}

/// A service's address that cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a URL that can be called over HTTP: {0}")]
pub struct InvalidUrl(String);

/// One call.
#[derive(Debug)]
pub(super) struct Get {
    pub(super) url: Url,
    pub(super) token: Option<BearerToken>,
    /// From the beginning to the last byte of the answer.
    pub(super) within: Duration,
    pub(super) body_bytes_max: usize,
}

/// An answer whose body was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallFailed {
    /// Not in time.
    Silent,
    /// It could not be reached, or broke off.
    Broken(String),
    /// The body is longer than allowed.
    TooLong,
    /// There are too many calls already, or none can be made any more.
    Refused,
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("it did not answer in time"),
            Self::Broken(reason) => f.write_str(reason),
            Self::TooLong => f.write_str("its answer is too long"),
            Self::Refused => f.write_str("too many calls wait for it already"),
        }
    }
}

#[derive(Debug)]
struct Call {
    get: Get,
    answer: oneshot::Sender<Result<Answer, CallFailed>>,
}

impl HttpCalls {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Where the system has no thread or no runtime left.
    pub fn start() -> std::io::Result<Self> {
        let (calls, taken) = mpsc::channel(WAITING_MAX);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("http-calls".to_owned())
            .spawn(move || LocalSet::new().block_on(&runtime, serve(taken)))?;
        Ok(Self { calls })
    }

    pub(super) async fn get(&self, get: Get) -> Result<Answer, CallFailed> {
        let within = get.within;
        let (answer, answered) = oneshot::channel();
        let call = Call { get, answer };
        self.calls.try_send(call).map_err(|_| CallFailed::Refused)?;
        // The thread keeps the time as well; this holds when it is busy.
        match timeout(within, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CallFailed::Refused),
            Err(_) => Err(CallFailed::Silent),
        }
    }
}

async fn serve(mut calls: mpsc::Receiver<Call>) {
    let client = new_client();
    while let Some(Call { get, mut answer }) = calls.recv().await {
        let client = client.clone();
        tokio::task::spawn_local(async move {
            tokio::select! {
                // Nobody waits for the answer any more.
                () = answer.closed() => {}
                answered = call(&client, &get) => {
                    let _ = answer.send(answered);
                }
            }
        });
    }
}

fn new_client() -> Client {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = Connector::new()
        .rustls_0_23(Arc::new(tls))
        .limit(CONNECTIONS_MAX)
        .conn_keep_alive(KEEP_ALIVE);
    Client::builder()
        .connector(connector)
        .disable_redirects()
        .disable_timeout()
        .finish()
}

async fn call(client: &Client, get: &Get) -> Result<Answer, CallFailed> {
    match timeout(get.within, call_unlimited(client, get)).await {
        Ok(answer) => answer,
        Err(_) => Err(CallFailed::Silent),
    }
}

async fn call_unlimited(client: &Client, get: &Get) -> Result<Answer, CallFailed> {
    let mut request = client
        .get(get.url.as_str())
        .insert_header((ACCEPT, "application/json"));
    if let Some(token) = &get.token {
        request = request.insert_header((AUTHORIZATION, format!("Bearer {}", token.expose())));
    }
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let body = response.body().limit(get.body_bytes_max).await;
    let body = body.map_err(|error| match error {
        PayloadError::Overflow => CallFailed::TooLong,
        error => CallFailed::Broken(error.to_string()),
    })?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: body.to_vec(),
    })
}

fn broken(error: &SendRequestError) -> CallFailed {
    match error {
        SendRequestError::Timeout => CallFailed::Silent,
        error => CallFailed::Broken(error.to_string()),
    }
}

/// The address of `path` at a service.
pub(super) fn join(base: &str, path: &str) -> Result<Url, InvalidUrl> {
    let text = format!(
        "{}/{}",
        base.trim_end_matches('/'),
        path.trim_start_matches('/')
    );
    let invalid = || InvalidUrl(base.to_owned());
    let url: Url = text.trim_end_matches('/').parse().map_err(|_| invalid())?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_http { Ok(url) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_and_path_are_joined_with_one_slash() {
        for (base, path) in [
            ("http://q:8003", "api/v1/x"),
            ("http://q:8003/", "/api/v1/x"),
            ("http://q:8003//", "//api/v1/x/"),
        ] {
            let joined = join(base, path).map(String::from);

            assert_eq!(joined, Ok("http://q:8003/api/v1/x".to_owned()), "{base}");
        }
        assert!(join("ftp://q", "x").is_err());
        assert!(join("q:8003", "x").is_err());
    }
}
