//! The server's process: started, watched, killed, started again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use awc::http::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::output::Output;
use super::{Api, Backends, PATIENCE, PREFIX, Reply, Request, User, tokens, within};
use crate::servers;

/// The time that a server may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(20);
/// The time that a server may take to shut down in order.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// What the server says once its port is open, before the port.
const LISTENING: &str = "listening on http://127.0.0.1:";

/// How a server is to be started.
#[derive(Clone)]
pub struct Options {
    variables: BTreeMap<String, String>,
    /// Held for as long as a server may be started on them.
    _backends: Backends,
}

impl Options {
    /// A server in dev on these backends, with a free port on loopback.
    pub fn on(backends: Backends) -> Self {
        let fixed = [("ENV", "dev"), ("HOST", "127.0.0.1"), ("PORT", "0")];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = fixed.into_iter().chain(backends.environment()).collect();
        Self {
            variables,
            _backends: backends,
        }
    }

    /// Sets a variable of its environment.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }

    /// Starts it in a new folder and awaits that it is ready.
    pub async fn start(self) -> Server {
        self.start_in(new_folder()).await
    }

    /// Starts it in this folder and awaits that it is ready.
    pub async fn start_in(self, folder: TempDir) -> Server {
        let server = self.server_in(folder);
        server.launch().await;
        server
    }

    /// Starts it in a new folder and awaits that its port is open, ready or not.
    pub async fn start_unready(self) -> Server {
        let server = self.server_in(new_folder());
        server.spawn();
        within(START_LIMIT, "the port is open", async || {
            assert_eq!(server.ended(), None, "{}", server.shown_output());
            server.listens().then_some(())
        })
        .await;
        server
    }

    fn server_in(self, folder: TempDir) -> Server {
        Server {
            options: RefCell::new(self),
            folder,
            child: RefCell::default(),
            output: Output::default(),
            begin: Cell::default(),
            is_tampered: Cell::default(),
            api: Api::new(),
        }
    }

    /// Runs the program with these arguments in `folder` until it ends by itself.
    pub async fn run_to_exit(&self, folder: &Path, arguments: &[&str]) -> Exit {
        let output = Output::default();
        let mut child = self.spawn(folder, arguments, &output);
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                // The readers end with the pipes, a moment after the process.
                within(STOP_LIMIT, "the output ends", async || {
                    output.ended().then_some(())
                })
                .await;
                return Exit {
                    status,
                    output: output.text_from(0),
                };
            }
            if begun.elapsed() > START_LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                panic!(
                    "`matchmaker {arguments:?}` still runs:\n{}",
                    output.text_from(0)
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn spawn(&self, folder: &Path, arguments: &[&str], output: &Output) -> Child {
        let mut child = Command::new(env!("CARGO_BIN_EXE_matchmaker"))
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .env("RUST_BACKTRACE", "1")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        output.read(child.stdout.take().expect("stdout is piped"));
        output.read(child.stderr.take().expect("stderr is piped"));
        child
    }
}

/// How a program ended that was not to serve.
#[derive(Debug)]
pub struct Exit {
    /// Its exit code.
    pub status: ExitStatus,
    /// What it wrote, both streams.
    pub output: String,
}

/// A running server, killed when dropped.
pub struct Server {
    options: RefCell<Options>,
    folder: TempDir,
    child: RefCell<Option<Child>>,
    output: Output,
    /// The line of the output with which the present process began.
    begin: Cell<usize>,
    /// Whether the test itself breaks what the server guarantees.
    is_tampered: Cell<bool>,
    api: Api,
}

impl Server {
    /// Starts a server on the backends under test, nothing else set.
    pub async fn start() -> Self {
        Options::on(Backends::under_test()).start().await
    }

    /// Options for the backends under test with one variable set.
    pub fn with(name: &str, value: impl ToString) -> Options {
        Options::on(Backends::under_test()).with(name, value)
    }

    /// The test changes what the server has stored: guarantees will be broken, and it looks itself
    /// which.
    pub fn is_tampered_with(&self) {
        self.is_tampered.set(true);
    }

    /// SIGKILL, and awaits that the process is gone.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.borrow_mut().take() {
            let ended = child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "ended by itself; {}", self.shown_output());
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
        }
    }

    /// SIGKILL in the middle of an orderly stop, which may be over by now.
    pub fn kill_while_it_stops(&self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again in the same folder, on a new port; a running one is killed before.
    pub async fn restart(&self) {
        self.kill();
        self.launch().await;
    }

    /// Starts it again, so that it ends itself at `place`; one that runs is killed before.
    pub async fn restart_until(&self, place: &str) {
        self.set("CRASH_AT", place);
        self.restart().await;
    }

    /// Starts it so that it ends itself at `place`, which may be before it is ready.
    pub fn start_until(&self, place: &str) {
        self.set("CRASH_AT", place);
        self.spawn();
    }

    /// Starts it again, so that it does not end itself any more.
    pub async fn restart_for_good(&self) {
        self.restart_until("").await;
    }

    /// Awaits that the process ends itself where it was told to.
    pub async fn crashes(&self) {
        self.crashes_within(PATIENCE * 2).await;
    }

    /// Awaits that the process ends itself where it was told to, within `limit`.
    pub async fn crashes_within(&self, limit: Duration) {
        const SIGABRT: i32 = 6;
        let ended = within(limit, "the server ends itself", async || self.ended());
        let status = ended.await;
        assert_eq!(status.signal(), Some(SIGABRT), "{}", self.shown_output());
        self.child.replace(None);
    }

    /// Sets a variable for the next start.
    pub fn set(&self, name: &str, value: impl ToString) {
        let options = self.options.borrow().clone().with(name, value);
        self.options.replace(options);
    }

    /// SIGTERM, and awaits the end; gives the exit status and the time it took.
    pub async fn terminate(&self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.tell_to_stop();
        (self.end().await, begun.elapsed())
    }

    /// SIGTERM, and awaits nothing.
    pub fn tell_to_stop(&self) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("there is a kill command").success());
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        let child = self.child.borrow();
        child.as_ref().expect("the server runs").id()
    }

    /// Awaits the end of a server that was told to stop.
    pub async fn end(&self) -> ExitStatus {
        let what = "the server ends after SIGTERM";
        let ended = within(STOP_LIMIT * 2, what, async || self.ended()).await;
        self.child.take();
        ended
    }

    /// A user with a good token.
    pub fn user(&self, id: &str) -> User {
        self.user_with_claims(id, &tokens::claims(id))
    }

    /// A user whose token says `claims`.
    pub fn user_with_claims(&self, id: &str, claims: &Value) -> User {
        User::new(&self.api, id, tokens::signed(claims))
    }

    /// The client and the address.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// A request to any path, without a token.
    pub fn request(&self, method: Method, path: &str) -> Request {
        self.api.request(method, path)
    }

    /// `GET path`, without a token.
    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path).send().await
    }

    /// `GET /{match_id}/status`, open to everybody.
    pub async fn match_status(&self, match_id: &str) -> Reply {
        self.get(&format!("{PREFIX}/{match_id}/status")).await
    }

    /// `GET /session/{session_id}`, open to everybody.
    pub async fn session(&self, session: &str) -> Reply {
        self.get(&format!("{PREFIX}/session/{session}")).await
    }

    /// Everything that this server wrote so far, over all its starts.
    pub fn output(&self) -> String {
        self.output.text_from(0)
    }

    /// The folder it works in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The SQLite file of the embedded default.
    pub fn database_file(&self) -> PathBuf {
        self.folder().join("data/matchmaker.db")
    }

    fn spawn(&self) {
        self.begin.set(self.output.lines());
        let child = self
            .options
            .borrow()
            .spawn(self.folder.path(), &[], &self.output);
        self.child.replace(Some(child));
    }

    async fn launch(&self) {
        self.spawn();
        let begun = Instant::now();
        while !self.is_ready().await {
            let ended = self.ended();
            assert!(
                ended.is_none(),
                "ended with {ended:?}; {}",
                self.shown_output()
            );
            let late = begun.elapsed() > START_LIMIT;
            assert!(
                !late,
                "not ready in {START_LIMIT:?}; {}",
                self.shown_output()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        if !self.listens() {
            return false;
        }
        let answer = self.request(Method::GET, "/readyz").try_send().await;
        answer.is_ok_and(|reply| reply.status == 200)
    }

    /// Whether its port is open, and then also: which one.
    fn listens(&self) -> bool {
        let output = self.output.text_from(self.begin.get());
        let Some((_, rest)) = output.split_once(LISTENING) else {
            return false;
        };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        self.api
            .moved_to(digits.parse().expect("a port stands behind the address"));
        true
    }

    fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child.borrow_mut();
        child.as_mut()?.try_wait().expect("a child can be asked")
    }

    fn shown_output(&self) -> String {
        format!("its output:\n{}", self.output.text_from(self.begin.get()))
    }

    /// What must hold of every server at the end of every test.
    fn final_check(&self) -> Result<(), String> {
        if let Some(status) = self.ended() {
            return Err(format!("the server ended by itself with {status}"));
        }
        let output = self.output();
        if output.contains("panicked at") {
            return Err("a thread of the server panicked".to_owned());
        }
        if output.contains("is broken:") && !self.is_tampered.get() {
            return Err("a guarantee was broken".to_owned());
        }
        if output.contains(servers::PASSWORD) {
            return Err("a password stands in the output".to_owned());
        }
        let secrets = self.api.secrets();
        match secrets
            .iter()
            .find(|secret| output.contains(secret.as_str()))
        {
            Some(secret) => Err(format!("the token signed {secret} stands in the output")),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let check = self.final_check();
        self.kill_while_it_stops();
        if std::thread::panicking() {
            eprintln!("{check:?}; {}", self.shown_output());
        } else if let Err(problem) = check {
            panic!("{problem}; {}", self.shown_output());
        }
    }
}

/// A new temporary folder.
pub fn new_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("matchmaker-test-")
        .tempdir()
        .expect("a temporary folder can be made")
}
