//! Calls over HTTP. The client's parts cannot leave their thread, so it has one of its own.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use awc::error::{PayloadError, SendRequestError};
use awc::http::Method;
use awc::http::header::{ACCEPT, AUTHORIZATION};
use awc::{Client, ClientResponse, Connector};
use bytes::Bytes;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;
use url::Url;

use observability::Cause;
use ports::BearerToken;

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

/// A question to a service.
#[derive(Debug)]
pub(super) struct Get {
    /// Which service, in traces.
    pub(super) service: &'static str,
    pub(super) url: Url,
    pub(super) token: Option<BearerToken>,
    /// From the beginning to the last byte of the answer.
    pub(super) within: Duration,
    pub(super) body_bytes_max: usize,
}

/// Something that a service is told.
pub(super) struct Post {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
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

struct Call {
    what: What,
    answer: oneshot::Sender<Result<Answer, CallFailed>>,
}

enum What {
    /// With the headers that say for which request it is.
    Get(Get, Vec<(&'static str, String)>),
    Post(Post),
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
        let mut step = Cause::current().call(get.service);
        let within = get.within;
        let headers = step.cause().headers();
        let answered = self.begin(What::Get(get, headers))?;
        // The thread keeps the time as well; this holds when it is busy.
        let answer = match timeout(within, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CallFailed::Refused),
            Err(_) => Err(CallFailed::Silent),
        };
        match &answer {
            Ok(answer) => step.tell("http.response.status_code", i64::from(answer.status)),
            Err(failed) => step.fail(failed),
        }
        answer
    }

    /// To be awaited anywhere: the thread alone keeps the time.
    pub(super) async fn post(&self, post: Post) -> Result<Answer, CallFailed> {
        let answered = self.begin(What::Post(post))?;
        answered.await.unwrap_or(Err(CallFailed::Refused))
    }

    fn begin(
        &self,
        what: What,
    ) -> Result<oneshot::Receiver<Result<Answer, CallFailed>>, CallFailed> {
        let (answer, answered) = oneshot::channel();
        let call = Call { what, answer };
        self.calls.try_send(call).map_err(|_| CallFailed::Refused)?;
        Ok(answered)
    }
}

async fn serve(mut calls: mpsc::Receiver<Call>) {
    let client = new_client();
    while let Some(Call { what, mut answer }) = calls.recv().await {
        let client = client.clone();
        tokio::task::spawn_local(async move {
            tokio::select! {
                // Nobody waits for the answer any more.
                () = answer.closed() => {}
                answered = call(&client, what) => {
                    let _ = answer.send(answered);
                }
            }
        });
    }
}

fn new_client() -> Client {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    // It offers no protocol by name, so that HTTP/1.1 is spoken.
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

async fn call(client: &Client, what: What) -> Result<Answer, CallFailed> {
    let (within, body_bytes_max) = match &what {
        What::Get(get, _) => (get.within, get.body_bytes_max),
        What::Post(post) => (post.within, post.body_bytes_max),
    };
    let answered = async {
        let response = match what {
            What::Get(get, headers) => send_get(client, get, headers).await,
            What::Post(post) => send_post(client, post).await,
        };
        whole(response.map_err(|error| broken(&error))?, body_bytes_max).await
    };
    match timeout(within, answered).await {
        Ok(answer) => answer,
        Err(_) => Err(CallFailed::Silent),
    }
}

async fn send_get(
    client: &Client,
    get: Get,
    headers: Vec<(&'static str, String)>,
) -> Result<ClientResponse, SendRequestError> {
    let mut request = client
        .get(get.url.as_str())
        .insert_header((ACCEPT, "application/json"));
    for header in headers {
        request = request.insert_header(header);
    }
    if let Some(token) = &get.token {
        request = request.insert_header((AUTHORIZATION, format!("Bearer {}", token.expose())));
    }
    request.send().await
}

async fn send_post(client: &Client, post: Post) -> Result<ClientResponse, SendRequestError> {
    let mut request = client.request(Method::POST, post.url);
    for header in post.headers {
        request = request.insert_header(header);
    }
    request.send_body(post.body).await
}

/// The answer with all of its body.
async fn whole(mut response: ClientResponse, body_bytes_max: usize) -> Result<Answer, CallFailed> {
    let body = response.body().limit(body_bytes_max).await;
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
    use rustls::server::Acceptor;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn http_2_is_offered_to_nobody_who_is_called() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let hello = async {
            let (mut called, _) = listener.accept().await.expect("a call");
            let mut acceptor = Acceptor::default();
            loop {
                let mut heard = vec![0; 4096];
                let length = called.read(&mut heard).await.expect("a hello");
                let taken = acceptor.read_tls(&mut &heard[..length]);
                assert!(taken.is_ok_and(|taken| taken > 0), "the call ended");
                if let Some(accepted) = acceptor.accept().ok().flatten() {
                    return accepted.client_hello().alpn().map(|names| names.count());
                }
            }
        };
        let offers = async {
            let calling = new_client()
                .get(format!("https://localhost:{port}/"))
                .send();
            tokio::select! {
                offered = hello => offered,
                answer = calling => panic!("nobody answered, but there was {answer:?}"),
            }
        };

        assert_eq!(LocalSet::new().run_until(offers).await, None);
    }

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
