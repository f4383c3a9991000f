//! A way to a shared server that one test can shut and freeze for itself alone.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::process::free_port;

/// A port that leads to a server. To whoever connects, shutting looks as if the server had been
/// killed, and freezing as if it had been frozen.
pub struct Passage {
    url: String,
    way: watch::Sender<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Shut,
    Frozen,
}

impl Passage {
    /// One to the server of this URL, shut at first.
    pub fn to(url: &str) -> Self {
        let (before, address) = url.split_once("127.0.0.1:").expect("a server on loopback");
        let (port, after) = address.split_once('/').expect("a URL with a path");
        let (own_port, to) = (free_port(), port.parse().expect("a port"));
        let (way, watched) = watch::channel(Way::Shut);
        tokio::spawn(listen(own_port, to, watched));
        Self {
            url: format!("{before}127.0.0.1:{own_port}/{after}"),
            way,
        }
    }

    /// The same URL, through this.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets everything through.
    pub fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    /// Connections end, and new ones are refused.
    pub fn shut(&self) {
        self.way.send_replace(Way::Shut);
    }

    /// Connections stay open and new ones are taken, but nothing gets through.
    pub fn freeze(&self) {
        self.way.send_replace(Way::Frozen);
    }
}

async fn listen(port: u16, to: u16, mut way: watch::Receiver<Way>) {
    while way.wait_for(|way| *way != Way::Shut).await.is_ok() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.expect("the port is kept for this");
        loop {
            let mut watched = way.clone();
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    tokio::spawn(pass(stream, to, way.clone()));
                }
                _ = watched.wait_for(|way| *way == Way::Shut) => break,
            }
        }
    }
}

async fn pass(near: TcpStream, to: u16, mut way: watch::Receiver<Way>) -> io::Result<()> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    let (near, far) = (near.into_split(), far.into_split());
    let (there, back) = (way.clone(), way.clone());
    tokio::select! {
        ended = pump(near.0, far.1, there) => ended,
        ended = pump(far.0, near.1, back) => ended,
        _ = way.wait_for(|way| *way == Way::Shut) => Ok(()),
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) -> io::Result<()> {
    let mut some = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut some).await?;
        if read == 0 || way.wait_for(|way| *way == Way::Open).await.is_err() {
            return Ok(());
        }
        to.write_all(&some[..read]).await?;
    }
}
