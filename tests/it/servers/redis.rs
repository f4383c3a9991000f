//! Redis.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::process::{Folder, Process, free_port, in_account};
use super::{HasProcess, Own, PASSWORD, in_background};

/// How many tests can have a logical database at the same time.
const NUMBERS: u32 = 512;

/// A Redis server of this test process.
pub struct Redis {
    admin: Admin,
    process: Process,
}

impl Redis {
    /// One that a test may kill. It has every acknowledged write again after a restart.
    pub fn own() -> Own<Self> {
        // While Redis syncs its file, it answers writes before they are in it; what is in it outlives
        // the process without being synced.
        let settings = [("appendonly", "yes"), ("appendfsync", "no")];
        Own(Self::start(Folder::of("redis"), &settings))
    }

    /// One that appends every write to a file in a folder below `parent`, which it syncs once a second.
    pub fn in_production(parent: &Path) -> Self {
        let settings = [("appendonly", "yes"), ("appendfsync", "everysec")];
        Self::start(Folder::below(parent, "redis"), &settings)
    }

    pub(super) fn shared() -> Self {
        Self::start(Folder::of("redis"), &[("appendonly", "no")])
    }

    fn start(folder: Folder, settings: &[(&str, &str)]) -> Self {
        let admin = Admin {
            port: free_port(),
            free: Arc::new(Mutex::new((0..NUMBERS).rev().collect())),
        };
        let mut command = in_account(Path::new("redis-server"));
        let (port, numbers) = (admin.port.to_string(), NUMBERS.to_string());
        let common = [
            ("port", port.as_str()),
            ("bind", "127.0.0.1"),
            ("requirepass", PASSWORD),
            ("databases", &numbers),
            ("save", ""),
            ("maxmemory", "1gb"),
            ("maxmemory-policy", "noeviction"),
        ];
        for (name, value) in common.iter().chain(settings) {
            command.arg(format!("--{name}")).arg(value);
        }
        let asked = admin.clone();
        let answers =
            Arc::new(move || matches!(asked.run(0, "PING"), Ok(answer) if answer == "+PONG"));
        let process = Process::start("Redis", folder, "TERM", &command, answers);
        Self { admin, process }
    }

    /// An empty logical database, emptied again with what is returned.
    pub fn number(&self) -> PrivateNumber {
        let admin = self.admin.clone();
        let free = admin
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let number = free.expect("fewer tests run at a time than there are logical databases");
        PrivateNumber { admin, number }
    }
}

impl Own<Redis> {
    /// Starts it again without anything that was in it.
    pub async fn restart_empty(&self) {
        self.kill();
        let files = self.process.folder().at("appendonlydir");
        fs::remove_dir_all(files).expect("it is there and ours");
        self.restart().await;
    }
}

impl HasProcess for Redis {
    fn process(&self) -> &Process {
        &self.process
    }
}

/// A test's own logical database.
#[derive(Debug)]
pub struct PrivateNumber {
    admin: Admin,
    number: u32,
}

impl PrivateNumber {
    /// Its `REDIS_URL`.
    pub fn url(&self) -> String {
        let (port, number) = (self.admin.port, self.number);
        format!("redis://:{PASSWORD}@127.0.0.1:{port}/{number}")
    }

    /// Forgets everything in it.
    pub fn flush(&self) {
        let answer = self.admin.run(self.number, "FLUSHDB");
        assert_eq!(answer.expect("Redis answers"), "+OK");
    }
}

impl Drop for PrivateNumber {
    fn drop(&mut self) {
        let (admin, number) = (self.admin.clone(), self.number);
        in_background(move || {
            // Whoever is not emptied is not used again.
            if admin
                .run(number, "FLUSHDB")
                .is_ok_and(|answer| answer == "+OK")
            {
                let mut free = admin.free.lock().unwrap_or_else(PoisonError::into_inner);
                free.insert(0, number);
            }
        });
    }
}

#[derive(Debug, Clone)]
struct Admin {
    port: u16,
    free: Arc<Mutex<Vec<u32>>>,
}

impl Admin {
    /// Runs a command in a logical database and gives the first line of its answer.
    fn run(&self, number: u32, command: &str) -> io::Result<String> {
        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let limit = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        write!(
            stream,
            "AUTH {PASSWORD}\r\nSELECT {number}\r\n{command}\r\n"
        )?;
        let answers = BufReader::new(stream).lines().take(3);
        let answers: Vec<String> = answers.collect::<io::Result<_>>()?;
        answers
            .last()
            .cloned()
            .ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}
