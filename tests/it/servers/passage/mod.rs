//! A way to a shared server on which one test, for itself alone, lets go wrong what can go wrong with
//! a network and with the server behind it.

mod answers;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::process::free_port;
use answers::Answers;

/// Chunks of at most 16 KiB that may be on their way in each direction of a connection.
const ON_THE_WAY_MAX: usize = 256;

/// A port that leads to a server. To whoever connects, shutting looks as if the server had been
/// killed, and freezing as if it had been frozen.
pub struct Passage {
    url: String,
    way: watch::Sender<Way>,
    swallowed: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Shut,
    Reset,
    Frozen,
    Void,
    Slow(Duration),
    Swallowing,
}

impl Passage {
    /// One to the server of this URL, shut at first.
    pub fn to(url: &str) -> Self {
        let (before, address) = url.split_once("127.0.0.1:").expect("a server on loopback");
        let (port, after) = address.split_once('/').expect("a URL with a path");
        let (own_port, to) = (free_port(), port.parse().expect("a port"));
        let (way, watched) = watch::channel(Way::Shut);
        let swallowed = Arc::default();
        let route = Route {
            to,
            way: watched,
            swallowed: Arc::clone(&swallowed),
        };
        tokio::spawn(route.listen(own_port));
        Self {
            url: format!("{before}127.0.0.1:{own_port}/{after}"),
            way,
            swallowed,
        }
    }

    /// The same URL, through this.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets everything through. What was lost in a [`Passage::blackhole`] stays lost.
    pub fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    /// Connections end, and new ones are refused.
    pub fn shut(&self) {
        self.way.send_replace(Way::Shut);
    }

    /// Connections are reset, and so is each new one as soon as it is taken.
    pub fn reset(&self) {
        self.way.send_replace(Way::Reset);
    }

    /// Connections stay open and new ones are taken, but nothing gets through until this is opened.
    pub fn freeze(&self) {
        self.way.send_replace(Way::Frozen);
    }

    /// Connections stay open and new ones are taken, but what is sent vanishes. Nothing will ever come
    /// through a connection that was open meanwhile, and neither side is told of its end: so it is with
    /// a device on the way that forgot it.
    pub fn blackhole(&self) {
        self.way.send_replace(Way::Void);
    }

    /// Every chunk of bytes takes so long, in each direction.
    pub fn slow(&self, latency: Duration) {
        self.way.send_replace(Way::Slow(latency));
    }

    /// To PostgreSQL: what was written is committed, but the connection is cut in place of the answer.
    pub fn swallow_commits(&self) {
        self.way.send_replace(Way::Swallowing);
    }

    /// How many answers to commits were swallowed.
    pub fn swallowed(&self) -> usize {
        self.swallowed.load(Ordering::SeqCst)
    }
}

/// What each connection knows of the passage.
#[derive(Clone)]
struct Route {
    to: u16,
    way: watch::Receiver<Way>,
    swallowed: Arc<AtomicUsize>,
}

impl Route {
    async fn listen(mut self, port: u16) {
        while self.way.wait_for(|way| *way != Way::Shut).await.is_ok() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            let listener = listener.expect("the port is kept for this");
            let mut watched = self.way.clone();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        tokio::spawn(self.clone().pass(stream));
                    }
                    shut = watched.wait_for(|way| *way == Way::Shut) => match shut {
                        Ok(_) => break,
                        // The passage is gone.
                        Err(_) => return,
                    },
                }
            }
        }
    }

    async fn pass(mut self, mut near: TcpStream) -> io::Result<()> {
        let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, self.to)).await?;
        for stream in [&near, &far] {
            stream.set_nodelay(true)?;
        }
        let ends = |way: &Way| matches!(way, Way::Shut | Way::Reset | Way::Void);
        let end = {
            let ((from_near, to_near), (from_far, to_far)) = (near.split(), far.split());
            let (there, back) = (self.clone(), self.clone());
            tokio::select! {
                biased;
                end = self.way.wait_for(ends) => end.map_or(Way::Shut, |way| *way),
                _ = there.pump(from_near, to_far, None) => Way::Shut,
                _ = back.pump(from_far, to_near, Some(Answers::default())) => Way::Shut,
            }
        };
        if end == Way::Void {
            let mut over = self.way.clone();
            let over = over.wait_for(|way| matches!(way, Way::Shut | Way::Reset));
            let vanishing = async {
                let _ = swallow_all(&mut near).await;
                // The server is not told that the other side has given up.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = vanishing => {}
                _ = over => {}
            }
        }
        if *self.way.borrow() == Way::Reset {
            SockRef::from(&near).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Passes bytes on until either side ends; with `answers`, those of a server are read.
    async fn pump(
        self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        mut answers: Option<Answers>,
    ) -> io::Result<()> {
        let (leaves, mut arrives) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY_MAX);
        let way = self.way.clone();
        let reading = async move {
            loop {
                let mut some = vec![0; 16 * 1024];
                let read = from.read(&mut some).await?;
                some.truncate(read);
                let latency = match *way.borrow() {
                    Way::Slow(latency) => latency,
                    _ => Duration::ZERO,
                };
                if read == 0 || leaves.send((Instant::now() + latency, some)).await.is_err() {
                    return io::Result::Ok(());
                }
            }
        };
        let mut way = self.way.clone();
        let writing = async move {
            while let Some((due, some)) = arrives.recv().await {
                sleep_until(due).await;
                if way.wait_for(|way| *way != Way::Frozen).await.is_err() {
                    break;
                }
                let commits = answers.as_mut().and_then(|it| it.first_commit_in(&some));
                if let Some(at) = commits
                    && *way.borrow() == Way::Swallowing
                {
                    self.swallowed.fetch_add(1, Ordering::SeqCst);
                    to.write_all(&some[..at]).await?;
                    break;
                }
                to.write_all(&some).await?;
            }
            io::Result::Ok(())
        };
        // The end of what is read is passed on after what was read before it.
        futures_util::future::try_join(reading, writing)
            .await
            .map(drop)
    }
}

async fn swallow_all(near: &mut TcpStream) -> io::Result<()> {
    let mut some = vec![0; 16 * 1024];
    while near.read(&mut some).await? > 0 {}
    Ok(())
}
