//! What is said to Chromium: its DevTools protocol, over a WebSocket.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use actix_rt::task::JoinHandle;
use awc::Client;
use awc::error::WsProtocolError;
use awc::ws::{Frame, Message};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::harness::PATIENCE;

/// Largest message that is taken, in bytes; drawings of whole pages come in one.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// So many faults are kept: what goes wrong at every step goes wrong often.
const FAULTS_MAX: usize = 10;

/// A connection to one tab. Dropping it closes the connection and not the tab.
pub struct Devtools {
    heard: Rc<RefCell<Heard>>,
    outgoing: mpsc::UnboundedSender<String>,
    last_id: Cell<u64>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    /// Who waits for the answer to which command.
    callers: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    faults: Vec<String>,
}

impl Devtools {
    /// Connects to the tab at this address, and begins to listen for faults of its page.
    pub async fn connect(url: &str) -> Self {
        let request = Client::new().ws(url).max_frame_size(MESSAGE_BYTES_MAX);
        let (_, framed) = request.connect().await.expect("Chromium takes connections");
        let heard = Rc::new(RefCell::new(Heard::default()));
        let (outgoing, commands) = mpsc::unbounded_channel();
        let task = actix_rt::spawn(run(framed, commands, Rc::clone(&heard)));
        let devtools = Self {
            heard,
            outgoing,
            last_id: Cell::new(0),
            task,
        };
        for domain in ["Runtime", "Log", "Page"] {
            devtools.call(&format!("{domain}.enable"), json!({})).await;
        }
        devtools
    }

    /// A command that must succeed.
    pub async fn call(&self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters)
            .await
            .unwrap_or_else(|problem| panic!("{method}: {problem}"))
    }

    /// A command, and what it gives; the text says why it failed.
    pub async fn try_call(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let (answer, answered) = oneshot::channel();
        self.heard.borrow_mut().callers.insert(id, answer);
        let command = json!({"id": id, "method": method, "params": parameters});
        // Where the connection is gone, nobody answers either.
        let _ = self.outgoing.send(command.to_string());
        match timeout(PATIENCE * 2, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("Chromium has closed the connection".to_owned()),
            Err(_) => panic!("Chromium does not answer to {command}"),
        }
    }

    /// What went wrong in the page so far: uncaught errors, unhandled rejections, errors on its
    /// console, breaches of its policy. Each is given once.
    pub fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.borrow_mut().faults)
    }
}

impl Drop for Devtools {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Heard {
    fn take_in(&mut self, text: &[u8]) {
        let mut message: Value = serde_json::from_slice(text).expect("Chromium speaks JSON");
        if let Some(id) = message["id"].as_u64() {
            let answer = match message["error"].take() {
                Value::Null => Ok(message["result"].take()),
                error => Err(error.to_string()),
            };
            if let Some(caller) = self.callers.remove(&id) {
                let _ = caller.send(answer);
            }
        } else if is_fault(&message) && self.faults.len() < FAULTS_MAX {
            self.faults.push(in_words(&message["params"]));
        }
    }
}

/// Whether an event tells of a mistake in the page. An answer of 404, or none while a server is away, is
/// none: it stands in the log with the source `network`.
fn is_fault(event: &Value) -> bool {
    let parameters = &event["params"];
    match event["method"].as_str() {
        Some("Runtime.exceptionThrown") => true,
        Some("Runtime.consoleAPICalled") => ["error", "assert"]
            .iter()
            .any(|it| parameters["type"] == *it),
        Some("Log.entryAdded") => {
            let entry = &parameters["entry"];
            entry["level"] == "error" && entry["source"] != "network"
        }
        _ => false,
    }
}

/// What an event of a fault says, shortly where it says so itself.
fn in_words(parameters: &Value) -> String {
    let short = [
        &parameters["exceptionDetails"]["exception"]["description"],
        &parameters["entry"]["text"],
    ];
    let short = short.iter().find_map(|text| text.as_str());
    short.map_or_else(|| parameters.to_string(), str::to_owned)
}

async fn run(
    mut framed: impl Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message> + Unpin,
    mut commands: mpsc::UnboundedReceiver<String>,
    heard: Rc<RefCell<Heard>>,
) {
    loop {
        tokio::select! {
            frame = framed.next() => match frame {
                Some(Ok(Frame::Text(text))) => heard.borrow_mut().take_in(&text),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
            Some(command) = commands.recv() => {
                let _ = framed.send(Message::Text(command.into())).await;
            }
        }
    }
    heard.borrow_mut().callers.clear();
}
