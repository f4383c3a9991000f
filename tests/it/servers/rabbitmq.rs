//! RabbitMQ.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::process::{Folder, Process, free_port, in_account};
use super::{HasProcess, Own, PASSWORD, USER, in_background};

/// Debian's wrapper in /usr/sbin insists on Debian's own folders and account.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// The broker waits for work asleep: other tests want the processor.
const ERLANG: &str = "+P 65536 +t 5000000 +S 2:2 +A 8 +sbwt none +sbwtdcpu none +sbwtdio none";

/// A RabbitMQ server of this test process.
pub struct RabbitMq {
    admin: Admin,
    process: Process,
    /// Erlang's register of nodes, which would otherwise start by itself and stay for ever. It ends
    /// after the broker.
    _register: Process,
}

impl RabbitMq {
    /// One that a test may kill.
    pub fn own() -> Own<Self> {
        Own(Self::shared())
    }

    /// One that keeps its queues on the disk of `parent`.
    pub fn in_production(parent: &Path) -> Self {
        Self::start(Folder::below(parent, "rabbitmq"))
    }

    pub(super) fn shared() -> Self {
        Self::start(Folder::of("rabbitmq"))
    }

    fn start(folder: Folder) -> Self {
        let register_port = free_port();
        let register = start_register(register_port);
        let admin = Admin {
            port: free_port(),
            socket: folder.at("control"),
        };
        let command = broker(&folder, &admin, register_port);
        let asked = admin.clone();
        let answers = Arc::new(move || asked.serves());
        let process = Process::start("RabbitMQ", folder, "TERM", &command, answers);
        Self {
            admin,
            process,
            _register: register,
        }
    }

    /// A new virtual host, deleted with what is returned.
    pub fn vhost(&self) -> PrivateVhost {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let created = self.admin.evaluate(&format!(
            "ok = rabbit_vhost:add(<<\"{name}\">>, <<\"tests\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"{USER}\">>, <<\"{name}\">>, \
             <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"tests\">>)."
        ));
        assert_eq!(created.expect("RabbitMQ answers"), "ok");
        let admin = self.admin.clone();
        PrivateVhost { admin, name }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.admin.port
    }

    /// Evaluates Erlang expressions inside the broker, such as `rabbit:is_running().`
    pub fn evaluate(&self, expressions: &str) -> String {
        let answer = self.admin.evaluate(expressions);
        answer.expect("RabbitMQ answers")
    }
}

impl Own<RabbitMq> {
    /// SIGKILL to all its processes, after it has written down which queues there are: of what it was
    /// told in the last two seconds it may have forgotten a queue, with what was in it. That is
    /// between the broker and whoever declares the queue.
    pub fn kill_settled(&self) {
        assert_eq!(self.evaluate("mnesia:sync_log()."), "ok");
        self.kill();
    }

    /// Whether it says that its memory is full, so that it takes no messages.
    pub fn has_full_memory(&self, full: bool) {
        let alarm = "{resource_limit, memory, node()}";
        self.evaluate(&match full {
            true => format!("rabbit_alarm:set_alarm({{{alarm}, []}})."),
            false => format!("rabbit_alarm:clear_alarm({alarm})."),
        });
    }
}

impl HasProcess for RabbitMq {
    fn process(&self) -> &Process {
        &self.process
    }
}

/// A test's own virtual host.
#[derive(Debug)]
pub struct PrivateVhost {
    admin: Admin,
    name: String,
}

impl PrivateVhost {
    /// Its `RABBITMQ_URL`.
    pub fn url(&self) -> String {
        let (port, name) = (self.admin.port, &self.name);
        format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{port}/{name}")
    }
}

impl Drop for PrivateVhost {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), std::mem::take(&mut self.name));
        in_background(move || {
            let delete = format!("rabbit_vhost:delete(<<\"{name}\">>, <<\"tests\">>).");
            let _ = admin.evaluate(&delete);
        });
    }
}

#[derive(Debug, Clone)]
struct Admin {
    port: u16,
    socket: PathBuf,
}

impl Admin {
    fn evaluate(&self, expressions: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        writeln!(stream, "{expressions}")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    fn serves(&self) -> bool {
        let running = self.evaluate("rabbit:is_running().");
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        matches!(running, Ok(answer) if answer == "true") && listens()
    }
}

fn start_register(port: u16) -> Process {
    let mut command = in_account(Path::new("epmd"));
    command.args(["-port", &port.to_string(), "-address", "127.0.0.1"]);
    let answers = Arc::new(move || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    Process::start("epmd", Folder::of("epmd"), "TERM", &command, answers)
}

fn broker(folder: &Folder, admin: &Admin, register_port: u16) -> Command {
    let settings = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\n\
         default_user = {USER}\n\
         default_pass = {PASSWORD}\n\
         log.file.level = warning\n\
         vm_memory_high_watermark.absolute = 400MB\n\
         disk_free_limit.absolute = 1MB\n",
        admin.port
    );
    folder.write("rabbitmq.conf", &settings);
    folder.write("plugins", "[].\n");
    folder.write("env.conf", "");
    folder.write(".erlang.cookie", PASSWORD);
    let control = folder.write("control.erl", include_str!("control.erl"));

    let mut command = in_account(Path::new(PROGRAM));
    let erlang = format!(
        "{ERLANG} -control_socket {} -eval file:eval(\"{}\").",
        admin.socket.display(),
        control.display()
    );
    command
        // Else a shell stays between the keeper and the broker.
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env("HOME", folder.at(""))
        .env("ERL_EPMD_PORT", register_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", format!("test{}@localhost", admin.port))
        .env("RABBITMQ_DIST_PORT", free_port().to_string())
        .env("RABBITMQ_CONFIG_FILE", folder.at("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", folder.at("env.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.at("plugins"))
        .env("RABBITMQ_MNESIA_BASE", folder.at("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.at("logs"))
        .env("RABBITMQ_PID_FILE", folder.at("pid"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", folder.at("generated"))
        .env("RABBITMQ_SCHEMA_DIR", folder.at("schema"))
        .env("RABBITMQ_PLUGINS_EXPAND_DIR", folder.at("expanded"))
        .env("RABBITMQ_SERVER_ERL_ARGS", erlang);
    command
}
