//! Bytes over TCP.

use std::io;

use tokio::net::TcpStream;

/// How much is read at once: most answers and events fit several times.
const READ_BYTES: usize = 4 * 1024;

/// A connection and what was received on it but not yet used.
pub struct Stream {
    tcp: TcpStream,
    pub received: Vec<u8>,
}

impl Stream {
    /// Connects.
    pub async fn open(host: &str, port: u16) -> io::Result<Self> {
        let tcp = TcpStream::connect((host, port)).await?;
        // Requests are written in one piece: waiting for more would only delay them.
        tcp.set_nodelay(true)?;
        Ok(Self {
            tcp,
            received: Vec::new(),
        })
    }

    /// Writes all of it.
    pub async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.tcp.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.tcp.writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Awaits more bytes; an error where the other side has closed.
    pub async fn read(&mut self) -> io::Result<()> {
        loop {
            self.tcp.readable().await?;
            let mut chunk = [0; READ_BYTES];
            match self.tcp.try_read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    self.received.extend_from_slice(&chunk[..length]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Forgets the first bytes that were received.
    pub fn consume(&mut self, length: usize) {
        self.received.drain(..length);
    }
}
