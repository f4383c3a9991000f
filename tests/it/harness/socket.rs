//! A user's WebSocket: kept open, pings answered, every event remembered.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_rt::task::JoinHandle;
use awc::error::WsProtocolError as ProtocolError;
use awc::ws::{Frame, Message};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Api, PATIENCE, Reply};
use crate::contract;

/// An open socket; dropping it closes the connection.
pub struct Socket {
    seen: Rc<RefCell<Seen>>,
    outgoing: mpsc::UnboundedSender<Message>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    events: Vec<Value>,
    taken: Vec<bool>,
    pings: usize,
    closed: Option<u16>,
    /// Whether the client closed, which the server answers in kind.
    has_closed: bool,
    /// What came that is not in the document.
    undocumented: Vec<String>,
}

/// What `expect_close` shows for a connection that ended without a close frame.
const NO_CLOSE_FRAME: u16 = 1006;

impl Socket {
    /// Opens `path` with more headers; fails when the server does not upgrade.
    pub async fn open(api: &Api, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = api.client().ws(api.url(path));
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let (answer, framed) = request
            .connect()
            .await
            .unwrap_or_else(|problem| panic!("no socket: {problem}"));
        let status = answer.status().as_u16();
        let reply = Reply::new(
            "the handshake".to_owned(),
            status,
            answer.headers().clone(),
            b"",
        );
        reply.assert_documented("GET", path, false);

        let seen = Rc::new(RefCell::new(Seen::default()));
        let (outgoing, commands) = mpsc::unbounded_channel();
        let task = actix_rt::spawn(run(framed, commands, Rc::clone(&seen)));
        Self {
            seen,
            outgoing,
            task,
        }
    }

    /// Awaits the next event of this kind that was not taken yet, and takes it.
    pub async fn next_event(&self, kind: &str) -> Value {
        self.next_event_within(kind, PATIENCE).await
    }

    /// Like [`Self::next_event`], with a deadline of its own.
    pub async fn next_event_within(&self, kind: &str, limit: Duration) -> Value {
        let begun = Instant::now();
        loop {
            if let Some(event) = self.take(kind) {
                return event;
            }
            let seen = self.seen.borrow().shown();
            assert!(
                begun.elapsed() < limit,
                "no `{kind}` within {limit:?}; {seen}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Awaits the `match_found` that names this partner, and takes it and those before it.
    pub async fn match_with(&self, partner: &str) -> Value {
        loop {
            let found = self.next_event("match_found").await;
            if found["partner_id"] == partner {
                return found;
            }
        }
    }

    /// How many events of this kind have come, taken or not.
    pub fn count(&self, kind: &str) -> usize {
        let seen = self.seen.borrow();
        seen.events
            .iter()
            .filter(|event| event["type"] == kind)
            .count()
    }

    /// Every event so far.
    pub fn events(&self) -> Vec<Value> {
        self.seen.borrow().events.clone()
    }

    /// Awaits that the server closes with this code.
    pub async fn expect_close(&self, code: u16) {
        self.expect_close_within(code, PATIENCE).await;
    }

    /// Like [`Self::expect_close`], with a deadline of its own.
    pub async fn expect_close_within(&self, code: u16, limit: Duration) {
        let begun = Instant::now();
        loop {
            if let Some(closed) = self.close_code() {
                assert_eq!(closed, code, "closed; {}", self.seen.borrow().shown());
                return;
            }
            let seen = self.seen.borrow().shown();
            assert!(
                begun.elapsed() < limit,
                "not closed within {limit:?}; {seen}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The code with which the server closed; 1006 when it said none.
    pub fn close_code(&self) -> Option<u16> {
        self.seen.borrow().closed
    }

    /// Pings that the server sent.
    pub fn pings(&self) -> usize {
        self.seen.borrow().pings
    }

    /// Sends a text message.
    pub fn send_text(&self, text: &str) {
        self.send(Message::Text(text.to_owned().into()));
    }

    /// Sends any message; one to a closed connection goes nowhere.
    pub fn send(&self, message: Message) {
        if matches!(message, Message::Close(_)) {
            self.seen.borrow_mut().has_closed = true;
        }
        let _ = self.outgoing.send(message);
    }

    fn take(&self, kind: &str) -> Option<Value> {
        let mut seen = self.seen.borrow_mut();
        let at = (0..seen.events.len())
            .find(|&at| !seen.taken[at] && seen.events[at]["type"] == kind)?;
        seen.taken[at] = true;
        Some(seen.events[at].clone())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
        let seen = self.seen.borrow();
        if !std::thread::panicking() {
            assert!(
                seen.undocumented.is_empty(),
                "{}",
                seen.undocumented.join("\n")
            );
        }
    }
}

impl Seen {
    fn take_in(&mut self, text: &[u8]) {
        let event = serde_json::from_slice(text).unwrap_or_else(|problem| {
            let text = String::from_utf8_lossy(text);
            Value::String(format!("not JSON ({problem}): {text}"))
        });
        self.undocumented
            .extend(contract::check_event(&event).err());
        self.events.push(event);
        self.taken.push(false);
    }

    fn shown(&self) -> String {
        let events: Vec<String> = self.events.iter().map(Value::to_string).collect();
        format!(
            "close code {:?}, events seen:\n  {}",
            self.closed,
            events.join("\n  ")
        )
    }
}

async fn run(
    mut framed: impl Stream<Item = Result<Frame, ProtocolError>> + Sink<Message> + Unpin,
    mut commands: mpsc::UnboundedReceiver<Message>,
    seen: Rc<RefCell<Seen>>,
) {
    loop {
        let answer = tokio::select! {
            frame = framed.next() => match take_frame(frame.and_then(Result::ok), &seen) {
                Ok(answer) => answer,
                Err(code) => {
                    let mut seen = seen.borrow_mut();
                    seen.closed = Some(code);
                    if !seen.has_closed && !contract::knows_close_code(code) {
                        seen.undocumented.push(format!("closed with {code}"));
                    }
                    return;
                }
            },
            Some(message) = commands.recv() => Some(message),
        };
        if let Some(message) = answer {
            // A server that has closed says so in the stream.
            let _ = framed.send(message).await;
        }
    }
}

/// Takes a frame in; gives what must be answered, or the close code.
fn take_frame(frame: Option<Frame>, seen: &RefCell<Seen>) -> Result<Option<Message>, u16> {
    match frame {
        Some(Frame::Text(text)) => seen.borrow_mut().take_in(&text),
        Some(Frame::Ping(payload)) => {
            seen.borrow_mut().pings += 1;
            return Ok(Some(Message::Pong(payload)));
        }
        Some(Frame::Pong(_)) => {}
        Some(Frame::Binary(_)) => seen.borrow_mut().take_in(b"a binary frame"),
        Some(Frame::Continuation(_)) => seen.borrow_mut().take_in(b"a part of a frame"),
        Some(Frame::Close(reason)) => {
            return Err(reason.map_or(NO_CLOSE_FRAME, |reason| reason.code.into()));
        }
        None => return Err(NO_CLOSE_FRAME),
    }
    Ok(None)
}
