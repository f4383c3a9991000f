//! Requests over one connection, one after the other.

use std::io;

use anyhow::Context;
use tokio::time::Instant;
use url::Url;

use super::head::parse_head;
use super::stream::Stream;

/// Longest body that is taken; the longest is that of /debug/actors with very many buckets.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{}", .0.kind())]
    Io(#[from] io::Error),
    #[error("the server sent {0}")]
    Malformed(&'static str),
    #[error("no answer in time")]
    Late,
    #[error("status {0} where a socket was expected")]
    NotUpgraded(u16),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A connection that is kept alive.
pub struct Connection {
    stream: Stream,
    last_used: Instant,
    closing: bool,
}

impl Target {
    /// The host and the port of an address such as `http://127.0.0.1:8002`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let url = Url::parse(text).with_context(|| format!("{text} is no address"))?;
        anyhow::ensure!(
            url.scheme() == "http" && url.path() == "/",
            "expected an address such as http://127.0.0.1:8002"
        );
        let host = url.host_str().context("the address names no host")?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
        })
    }

    /// As the `Host` header has it.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The bytes of a request. `headers` are whole lines, each ended by CR LF, `Host` among them.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        Ok(Self {
            stream: Stream::open(&target.host, target.port).await?,
            last_used: Instant::now(),
            closing: false,
        })
    }

    /// Sends a request and awaits the answer. After an error the connection is of no more use.
    pub async fn call(&mut self, request: &[u8]) -> Result<Answer, Fault> {
        self.closing = true;
        self.stream.write(request).await?;
        let head = loop {
            self.stream.read().await?;
            if let Some(head) = parse_head(&self.stream.received).map_err(Fault::Malformed)? {
                break head;
            }
        };
        if head.length > BODY_BYTES_MAX {
            return Err(Fault::Malformed("a body that is too long"));
        }
        let end = head.bytes + head.length;
        while self.stream.received.len() < end {
            self.stream.read().await?;
        }
        let body = self.stream.received[head.bytes..end].to_vec();
        self.stream.consume(end);
        self.closing = head.closes;
        self.last_used = Instant::now();
        Ok(Answer {
            status: head.status,
            body,
        })
    }

    /// Whether another request may be sent: the server keeps it, and nothing is left unread.
    pub fn is_reusable(&self) -> bool {
        !self.closing && self.stream.received.is_empty()
    }

    /// When it was last used.
    pub fn last_used(&self) -> Instant {
        self.last_used
    }
}
