//! The server under load: a process of our own, or one that runs already.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::client::{Connection, Fault, Target, request};
use crate::faults::{breaches, is_error};
use crate::ledger::Violations;
use crate::options::Common;

/// The time that a server may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Time between two looks at whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// What the server says once its port is open, before the address.
const LISTENING: &str = "listening on ";
/// How much of its log is shown when it has ended.
const LAST_LINES: usize = 20;
/// A limit that no load reaches.
const NO_LIMIT: &str = "1000000";

/// A server.
pub struct Server {
    pub target: Target,
    /// Its process, where it runs on this machine and is known.
    pub pid: Option<u32>,
    started: Option<Started>,
}

/// A server of our own.
struct Started {
    process: Process,
    folder: Folder,
}

/// Exactly the process that was started, killed when dropped. What it stored is thrown away, so there
/// is nothing to be orderly for.
struct Process(Child);

/// Where a server of our own works; removed when dropped.
pub struct Folder(TempDir);

impl Folder {
    /// A new one where the command line wants it.
    pub fn new(common: &Common) -> anyhow::Result<Self> {
        fs::create_dir_all(&common.folder)
            .and_then(|()| {
                tempfile::Builder::new()
                    .prefix("lifecycle-")
                    .tempdir_in(&common.folder)
            })
            .map(Self)
            .with_context(|| format!("no folder can be made in {}", common.folder.display()))
    }

    /// The file of the embedded store.
    pub fn database(&self) -> PathBuf {
        self.0.path().join("data/matchmaker.db")
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("server.log")
    }
}

impl Server {
    /// The server of the command line: the one that runs at its URL, or a new one.
    pub async fn of(common: &Common, variables: &[(&str, String)]) -> anyhow::Result<Self> {
        match &common.url {
            Some(url) => Ok(Self {
                target: Target::parse(url)?,
                pid: common.pid,
                started: None,
            }),
            None => {
                let (server, _) = Self::start(common, Folder::new(common)?, variables).await?;
                Ok(server)
            }
        }
    }

    /// Starts one in this folder; answers when it is ready, with the time that took from the moment
    /// before the process was made.
    pub async fn start(
        common: &Common,
        folder: Folder,
        variables: &[(&str, String)],
    ) -> anyhow::Result<(Self, Duration)> {
        let mut command = command(common, &folder, variables)?;
        let began = Instant::now();
        let child = command.spawn().context("the server cannot be started")?;
        let pid = child.id();
        let mut started = Started {
            process: Process(child),
            folder,
        };
        let target = started.address(began).await?;
        while !is_ready(&target).await {
            started.must_run_since(began)?;
            sleep(LOOK_EVERY).await;
        }
        let took = began.elapsed();
        let server = Self {
            target,
            pid: Some(pid),
            started: Some(started),
        };
        Ok((server, took))
    }

    /// Ends the process of our own and gives its folder back.
    pub fn kill(mut self) -> Option<Folder> {
        let Started { process, folder } = self.started.take()?;
        drop(process);
        Some(folder)
    }

    /// What the server itself knows to be broken: its counters, its log, its end.
    pub async fn faults(&mut self) -> anyhow::Result<Violations> {
        let mut faults = Violations::default();
        if let Some(started) = &mut self.started {
            if let Some(status) = started.process.0.try_wait()? {
                faults.note(format!(
                    "the server ended by itself with {status}; its log ends with\n{}",
                    self.end_of_log()
                ));
                return Ok(faults);
            }
            let log = fs::read_to_string(started.folder.log())?;
            log.lines().filter(|line| is_error(line)).for_each(|line| {
                faults.note(format!("the server logged: {}", line.trim()));
            });
        }
        match get(&self.target, "/metrics").await {
            Ok((200, text)) => breaches(&text).for_each(|line| {
                faults.note(format!("the server counted: {line}"));
            }),
            // Outside dev only operators may read them.
            Ok((401 | 403, _)) => {}
            Ok((status, _)) => faults.note(format!("GET /metrics was answered {status}")),
            Err(fault) => faults.note(format!("GET /metrics: {fault}")),
        }
        Ok(faults)
    }

    /// The last lines that a server of our own has logged.
    pub fn end_of_log(&self) -> String {
        let log = self.started.as_ref().map(|it| it.folder.log());
        let text = log.and_then(|file| fs::read_to_string(file).ok());
        let text = text.unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// The body of `GET path`.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        match get(&self.target, path).await? {
            (200, text) => Ok(text),
            (status, _) => bail!("GET {path} was answered {status}"),
        }
    }
}

impl Started {
    /// Awaits that it says where it listens.
    async fn address(&mut self, began: Instant) -> anyhow::Result<Target> {
        loop {
            let log = fs::read_to_string(self.folder.log()).unwrap_or_default();
            // Only whole lines: the last one may still be written.
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            if let Some((_, rest)) = whole.split_once(LISTENING) {
                let end = rest.find(|c: char| c == ',' || c.is_whitespace());
                return Target::parse(&rest[..end.unwrap_or(rest.len())]);
            }
            self.must_run_since(began)?;
            sleep(LOOK_EVERY).await;
        }
    }

    fn must_run_since(&mut self, began: Instant) -> anyhow::Result<()> {
        let log = || fs::read_to_string(self.folder.log()).unwrap_or_default();
        if let Some(status) = self.process.0.try_wait()? {
            bail!(
                "the server ended with {status} before it was ready:\n{}",
                log()
            );
        }
        if began.elapsed() > READY_WITHIN {
            bail!("the server is not ready after {READY_WITHIN:?}:\n{}", log());
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(
    common: &Common,
    folder: &Folder,
    variables: &[(&str, String)],
) -> anyhow::Result<Command> {
    let log = File::create(folder.log()).context("the server's log cannot be made")?;
    // It works in another folder, so its path must not depend on this one.
    let binary = fs::canonicalize(&common.binary)
        .with_context(|| format!("there is no {}", common.binary.display()))?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("RUST_BACKTRACE", "1")
        .env("ENV", "dev")
        .env("HOST", "127.0.0.1")
        .env("PORT", "0")
        .env("AUTH_ACCESS_SECRET", &common.secret)
        .env("AUTH_ISSUER", &common.issuer)
        .env("ASK_BURST", NO_LIMIT)
        .env("ASKS_PER_SECOND", NO_LIMIT)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .envs(common.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log);
    if let Some(audience) = &common.audience {
        command.env("AUTH_AUDIENCE", audience);
    }
    Ok(command)
}

async fn is_ready(target: &Target) -> bool {
    matches!(get(target, "/readyz").await, Ok((200, _)))
}

async fn get(target: &Target, path: &str) -> Result<(u16, String), Fault> {
    let headers = format!("Host: {}\r\n", target.authority());
    let mut connection = Connection::open(target).await?;
    let answer = connection.call(&request("GET", path, &headers, "")).await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    Ok((answer.status, text))
}
