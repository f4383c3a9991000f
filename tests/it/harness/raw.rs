//! Bytes over TCP, for requests that no well-behaved client sends.

use std::net::Ipv4Addr;
use std::time::Duration;

use awc::http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Api, PATIENCE, Reply, User};

/// One connection to the server.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
    /// Method and target of what was asked last.
    asked: Option<(String, String)>,
}

impl Raw {
    /// Connects.
    pub async fn connect(api: &Api) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", api.port()));
        Self::over(stream.await.expect("the server takes connections"))
    }

    /// Connects with the smallest receive buffer that there is: a few events fill it, where they are
    /// not read.
    pub async fn connect_narrow(api: &Api) -> Self {
        let socket = TcpSocket::new_v4().expect("there are sockets");
        let narrowed = socket.set_recv_buffer_size(1);
        narrowed.expect("a receive buffer has a size");
        let address = (Ipv4Addr::LOCALHOST, api.port()).into();
        let stream = socket.connect(address).await;
        Self::over(stream.expect("the server takes connections"))
    }

    fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            asked: None,
        }
    }

    /// Opens this user's socket; fails where that is not answered 101.
    pub async fn open_socket(&mut self, user: &User) {
        self.send(upgrade(&format!("/ws?token={}", user.token), ""))
            .await;
        let status = self.reply().await.map(|reply| reply.status);
        assert_eq!(status, Some(101), "the socket of {}", user.id);
    }

    /// Awaits up to `most` bytes of whatever comes next; none at the end.
    pub async fn take(&mut self, most: usize) -> Option<Vec<u8>> {
        let mut chunk = vec![0; most];
        let length = self.stream.read(&mut chunk).await.unwrap_or(0);
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Sends `bytes`; a server that closed already has heard enough, so that is no failure.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.asked = request_line(bytes.as_ref()).or(self.asked.take());
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Awaits one whole answer; none when the server closed without one.
    pub async fn reply(&mut self) -> Option<Reply> {
        self.reply_within(PATIENCE).await
    }

    /// Awaits one whole answer for at most `limit`; none when the server closed without one.
    pub async fn reply_within(&mut self, limit: Duration) -> Option<Reply> {
        timeout(limit, self.read_reply())
            .await
            .unwrap_or_else(|_| panic!("neither answered nor closed within {limit:?}"))
    }

    /// Like [`Self::reply`], but gives up after `limit`, and may be tried again then.
    pub async fn reply_or_end(&mut self, limit: Duration) -> Option<Option<Reply>> {
        timeout(limit, self.read_reply()).await.ok()
    }

    /// Awaits the end of the connection; gives what came before it.
    pub async fn closed_within(&mut self, limit: Duration) -> Vec<u8> {
        let end = timeout(limit, async { while self.read_some().await {} }).await;
        assert!(end.is_ok(), "the server did not close within {limit:?}");
        std::mem::take(&mut self.received)
    }

    /// Awaits that `look` finds something in all that has come, or the end of the connection.
    pub async fn finds<T>(&mut self, look: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let found = timeout(PATIENCE, async {
            loop {
                if let Some(found) = look(&self.received) {
                    return Some(found);
                }
                if !self.read_some().await {
                    return None;
                }
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("not within {PATIENCE:?} in {:?}", self.received))
    }

    async fn read_reply(&mut self) -> Option<Reply> {
        let head_end = loop {
            if let Some(at) = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            {
                break at + 4;
            }
            if !self.read_some().await {
                return None;
            }
        };
        let head: Vec<u8> = self.received.drain(..head_end).collect();
        let (status, headers) = parse_head(&String::from_utf8_lossy(&head));
        let length = headers
            .get("content-length")
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
            .unwrap_or(0);
        while self.received.len() < length && self.read_some().await {}
        let length = length.min(self.received.len());
        let body: Vec<u8> = self.received.drain(..length).collect();
        let reply = Reply::new("a raw request".to_owned(), status, headers, &body);
        if let Some((method, target)) = &self.asked {
            reply.assert_documented(method, target, false);
        }
        Some(reply)
    }

    async fn read_some(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.received.extend_from_slice(&chunk[..length]);
                true
            }
        }
    }
}

/// What a browser would send to open a socket, with more header lines, each ended by CR LF.
pub fn upgrade(target: &str, lines: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A WebSocket frame as a client sends it: masked, with the key 0.
pub fn frame(last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![if last { 0x80 | opcode } else { opcode }];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            let length = u16::try_from(length).expect("test messages are short");
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Method and target, where these bytes begin with those of a request to this server.
fn request_line(bytes: &[u8]) -> Option<(String, String)> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let is_one = words.next()?.starts_with("HTTP/1.") && target.starts_with('/');
    is_one.then(|| (method.to_owned(), target.to_owned()))
}

fn parse_head(head: &str) -> (u16, HeaderMap) {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a status line: {first}"));

    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header has a name");
        let value = HeaderValue::from_str(value.trim()).expect("a header has a value");
        headers.append(name, value);
    }
    (status, headers)
}
