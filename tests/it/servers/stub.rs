//! A service over HTTP that does what a test tells it to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The line that says what bodies are.
const JSON: &str = "content-type: application/json\r\n";

/// What the stub does with a request.
#[derive(Debug, Clone)]
pub enum Conduct {
    /// Answers with this status and body.
    Answer(u16, String),
    /// Answers 200 with this body, but only after this time.
    Late(Duration, String),
    /// Sends the caller with 302 to another place.
    Redirect(String),
    /// Never answers.
    Hang,
    /// Answers with a head and the beginning of a body.
    HangInBody,
    /// Closes the connection.
    Close,
    /// Answers with bytes that are no HTTP.
    Garbage,
    /// Answers with a body of so many bytes, without a length in the head.
    Endless(usize),
}

/// A small service that does what it is told, and remembers what it was asked.
#[derive(Clone)]
pub struct Stub {
    port: u16,
    conduct: Arc<Mutex<Conduct>>,
    exceptions: Arc<Mutex<Vec<(String, Conduct)>>>,
    requests: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
}

impl Stub {
    /// Starts it.
    pub async fn new(conduct: Conduct) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stub = Self {
            port: listener.local_addr().expect("it is bound").port(),
            conduct: Arc::new(Mutex::new(conduct)),
            exceptions: Arc::default(),
            requests: Arc::default(),
            open: Arc::default(),
        };
        let serving = stub.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stub = serving.clone();
                tokio::spawn(async move {
                    stub.open.fetch_add(1, Ordering::SeqCst);
                    let _ = stub.serve(stream).await;
                    stub.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        stub
    }

    /// From now on it does this.
    pub fn now(&self, conduct: Conduct) {
        *self.conduct.lock().expect("not poisoned") = conduct;
    }

    /// From now on it does this with requests in whose head `text` stands.
    pub fn now_with(&self, text: &str, conduct: Conduct) {
        let mut exceptions = self.exceptions.lock().expect("not poisoned");
        exceptions.retain(|(known, _)| known != text);
        exceptions.push((text.to_owned(), conduct));
    }

    /// Its address.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The head of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn conduct_with(&self, head: &str) -> Conduct {
        let exceptions = self.exceptions.lock().expect("not poisoned");
        let exception = exceptions.iter().find(|(text, _)| head.contains(text));
        match exception {
            Some((_, conduct)) => conduct.clone(),
            None => self.conduct.lock().expect("not poisoned").clone(),
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut held = Vec::new();
        loop {
            while !held.windows(4).any(|it| it == b"\r\n\r\n") {
                let mut some = [0; 4096];
                match stream.read(&mut some).await? {
                    0 => return Ok(()),
                    read => held.extend_from_slice(&some[..read]),
                }
            }
            let head = String::from_utf8_lossy(&held).into_owned();
            held.clear();
            let conduct = self.conduct_with(&head);
            self.requests.lock().expect("not poisoned").push(head);
            match conduct {
                Conduct::Late(after, body) => {
                    tokio::time::sleep(after).await;
                    answer(&mut stream, 200, &body).await?;
                }
                Conduct::Answer(status, body) => answer(&mut stream, status, &body).await?,
                Conduct::Redirect(to) => {
                    let head =
                        format!("HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
                    stream.write_all(head.as_bytes()).await?;
                }
                Conduct::Hang => sleep_until_closed(&mut stream).await?,
                Conduct::HangInBody => {
                    let head = format!("HTTP/1.1 200 OK\r\n{JSON}content-length: 100\r\n\r\n[");
                    stream.write_all(head.as_bytes()).await?;
                    sleep_until_closed(&mut stream).await?;
                }
                Conduct::Close => return Ok(()),
                Conduct::Garbage => stream.write_all(b"\x00\x01 no HTTP at all\r\n\r\n").await?,
                Conduct::Endless(bytes) => {
                    let head = format!("HTTP/1.1 200 OK\r\n{JSON}connection: close\r\n\r\n");
                    stream.write_all(head.as_bytes()).await?;
                    for _ in 0..bytes.div_ceil(4_096) {
                        stream.write_all(&[b' '; 4_096]).await?;
                    }
                    return Ok(());
                }
            }
        }
    }
}

async fn answer(stream: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{JSON}content-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

async fn sleep_until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0; 1]).await.map(drop)
}
