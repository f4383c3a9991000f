//! A server's process: started, signalled, and gone when the test process is gone.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time that a server may take until it answers. RabbitMQ takes 5 s on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How often a server that starts is asked whether it answers.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Free ports are looked for here: below those that outgoing connections take theirs from, so that
/// nobody takes the port of a server between its end and its next start.
const PORTS: std::ops::Range<u32> = 15_000..32_000;

/// Whether a server answers.
pub type Answers = Arc<dyn Fn() -> bool + Send + Sync>;

/// A folder of a server's own. Its keeper removes it, or, before there is one, the end of this.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// A new folder below the temporary one, which the server's account may write.
    pub fn of(server: &str) -> Self {
        Self::below(&std::env::temp_dir(), server)
    }

    /// A new folder below `parent`, which that account has to be able to reach.
    pub fn below(parent: &Path, server: &str) -> Self {
        let prefix = format!("matchmaker-{server}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent);
        let folder = Self(folder.expect("a temporary folder"));
        if let Some((uid, gid)) = account() {
            chown(folder.0.path(), Some(uid), Some(gid)).expect("root may give a folder away");
        }
        folder
    }

    /// A place in the folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that nobody but the server's account can read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let file = self.at(name);
        fs::write(&file, text).expect("a temporary file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        if let Some((uid, gid)) = account() {
            chown(&file, Some(uid), Some(gid)).expect("root may give a file away");
        }
        file
    }
}

/// Whom servers run as where the tests run as root, which PostgreSQL refuses: user and group id.
fn account() -> Option<(u32, u32)> {
    static ACCOUNT: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
        let own = fs::metadata("/proc/self").expect("there is /proc");
        (own.uid() == 0).then(|| {
            let accounts = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
            let found = ["postgres", "nobody"].iter().find_map(|name| {
                let mut fields = accounts
                    .lines()
                    .map(|line| line.split(':'))
                    .find(|fields| fields.clone().next() == Some(name))?
                    .skip(2);
                Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
            });
            found.expect("there is an account postgres or nobody")
        })
    });
    *ACCOUNT
}

/// The words with which a program runs under the servers' account, ended with its parent.
pub fn in_account(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((uid, gid)) = account() {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
        command.arg("--clear-groups");
    }
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// A port on loopback that nobody listens on, another one at each call.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + first.wrapping_add(step) % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("the range is one of ports");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A server's process, together with the keeper that is its parent.
///
/// The keeper reads orders from a pipe. Its other end is here and nowhere else, so it closes when
/// this is dropped and when the test process ends, SIGKILL included; then the keeper ends the server
/// and removes its folder.
pub struct Process {
    name: &'static str,
    folder: Folder,
    keeper: Child,
    orders: Mutex<Orders>,
    answers: Answers,
}

struct Orders {
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    /// The server's process id, empty while there is none.
    server: String,
}

impl Process {
    /// Starts it and waits until it answers. `ending` is the signal that ends it in order.
    pub fn start(
        name: &'static str,
        folder: Folder,
        ending: &str,
        command: &Command,
        answers: Answers,
    ) -> Self {
        // In a session of its own it outlives Ctrl-C, and nobody hangs up on it when this process ends
        // while a server is stopped.
        let mut keeper = Command::new("setsid");
        keeper.args(["sh", "-c", include_str!("keeper.sh"), "keeper"]);
        keeper.arg(folder.0.path()).arg(ending);
        keeper.arg(command.get_program()).args(command.get_args());
        let set = command.get_envs();
        keeper
            .env_clear()
            .envs(set.filter_map(|(name, value)| Some((name, value?))));
        keeper.current_dir(folder.0.path());
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.stderr(Stdio::null()).spawn().expect("there is sh");
        let orders = Orders {
            to: keeper.stdin.take(),
            from: BufReader::new(keeper.stdout.take().expect("stdout is piped")),
            server: String::new(),
        };
        let process = Self {
            name,
            folder,
            keeper,
            orders: Mutex::new(orders),
            answers,
        };
        process.order("start");
        let begun = Instant::now();
        while !(process.answers)() {
            process.assert_starting(begun);
            std::thread::sleep(ASK_EVERY);
        }
        process
    }

    /// The folder that it works in.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The process id of the running server.
    pub fn id(&self) -> u32 {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.server.parse().expect("the server runs")
    }

    /// `start`, `pause`, `resume`, `stop` or `kill`; returns when that is done.
    pub fn order(&self, order: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let to = orders.to.as_mut().expect("it is closed on drop only");
        writeln!(to, "{order}").expect("the keeper reads");
        let mut answer = String::new();
        orders.from.read_line(&mut answer).expect("it answers");
        answer.trim().clone_into(&mut orders.server);
    }

    /// Starts it again in the same folder, after a SIGKILL where it runs; waits until it answers.
    pub async fn restart(&self) {
        if self.runs() {
            self.order("kill");
        }
        self.order("start");
        let begun = Instant::now();
        loop {
            let answers = Arc::clone(&self.answers);
            let asked = tokio::task::spawn_blocking(move || answers());
            if asked.await.expect("asking does not panic") {
                return;
            }
            self.assert_starting(begun);
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    fn runs(&self) -> bool {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        !orders.server.is_empty()
    }

    fn assert_starting(&self, begun: Instant) {
        let log = || fs::read_to_string(self.folder.at("log")).unwrap_or_default();
        let name = self.name;
        assert!(!has_ended(self.id()), "{name} does not start:\n{}", log());
        let late = begun.elapsed() > START_LIMIT;
        assert!(!late, "{name} does not answer:\n{}", log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let orders = self.orders.get_mut();
        orders.unwrap_or_else(PoisonError::into_inner).to = None;
        let _ = self.keeper.wait();
    }
}

/// Whether there is no such process, or nothing of it but its exit code.
pub fn has_ended(id: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = state.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
    state.is_none_or(|state| state.starts_with(['Z', 'X']))
}
