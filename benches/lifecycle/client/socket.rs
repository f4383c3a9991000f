//! One user's WebSocket, on which the server speaks and the client answers pings only.

use super::frame::{CLOSE, PING, PONG, TEXT, decode, pong};
use super::head::parse_head;
use super::http::{Fault, Target};
use super::stream::Stream;

/// The key of RFC 6455's example: a constant one spares SHA-1, and tells a real answer as well.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server answers to that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An open socket.
pub struct Socket {
    stream: Stream,
}

/// What came on a socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Text(String),
    /// The server closes it, with this code if it gave one.
    Closed(Option<u16>),
}

/// Why a socket ended, in words.
pub fn closed(code: Option<u16>) -> String {
    match code {
        Some(code) => format!("the server closed it with code {code}"),
        None => "the server closed it without a code".to_owned(),
    }
}

impl Socket {
    /// Opens a socket with this token, as a browser does.
    pub async fn open(target: &Target, token: &str) -> Result<Self, Fault> {
        let mut stream = Stream::open(&target.host, target.port).await?;
        let host = target.authority();
        let handshake = format!(
            "GET /ws?token={token} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write(handshake.as_bytes()).await?;
        let head = loop {
            stream.read().await?;
            if let Some(head) = parse_head(&stream.received).map_err(Fault::Malformed)? {
                break head;
            }
        };
        if head.status != 101 {
            return Err(Fault::NotUpgraded(head.status));
        }
        let text = String::from_utf8_lossy(&stream.received[..head.bytes]);
        if !text.contains(ACCEPT) {
            return Err(Fault::Malformed("an upgrade for another key"));
        }
        stream.consume(head.bytes);
        Ok(Self { stream })
    }

    /// Awaits the next message, answering pings meanwhile.
    pub async fn next(&mut self) -> Result<Message, Fault> {
        loop {
            let Some(frame) = decode(&self.stream.received).map_err(Fault::Malformed)? else {
                self.stream.read().await?;
                continue;
            };
            let payload = self.stream.received[frame.payload.clone()].to_vec();
            self.stream.consume(frame.payload.end);
            match frame.opcode {
                TEXT => {
                    let text = String::from_utf8(payload);
                    let text = text.map_err(|_| Fault::Malformed("a text that is not UTF-8"))?;
                    return Ok(Message::Text(text));
                }
                PING => self.stream.write(&pong(&payload)).await?,
                PONG => {}
                CLOSE => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    return Ok(Message::Closed(code));
                }
                _ => return Err(Fault::Malformed("a frame of an unknown kind")),
            }
        }
    }
}
