//! A PostgreSQL server of this test process, with a database for each test.
//!
//! A shell keeps the server: it ends it, by its id, and removes its folder as soon as the pipe to
//! this process is closed, in whichever way this process ends.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

const BINARIES: &str = "/usr/lib/postgresql/15/bin";
const USER: &str = "matchmaker";

/// `$1` is the folder, `$2` the port, `$3` what runs a command as another user than root, if any.
const KEEPER: &str = r#"
set -eu
$3 "$BINARIES/initdb" -D "$1/data" -U matchmaker --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync \
    --no-instructions >"$1/initdb.log" 2>&1
$3 "$BINARIES/postgres" -D "$1/data" -p "$2" -c listen_addresses=127.0.0.1 -c max_connections=400 \
    -c "unix_socket_directories=" -c shared_buffers=32MB -c dynamic_shared_memory_type=mmap \
    $4 >"$1/postgres.log" 2>&1 &
while [ ! -s "$1/data/postmaster.pid" ]; do sleep 0.05; done
echo started
read -r _ || true
kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" || true
wait
rm -rf "$1"
"#;

/// A server; it ends when it is dropped, or with this process.
pub struct Server {
    port: u16,
    _keeper: Child,
}

/// A test's own database.
#[derive(Debug)]
pub struct PrivateDatabase {
    port: u16,
    name: String,
}

impl Server {
    /// Starts one with further arguments and files for its data folder, and waits until it answers.
    pub fn start(arguments: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("matchmaker-postgres-")
            .tempdir_in("/tmp")
            .expect("a temporary folder")
            .keep();
        let other_user = if give_to_server(&folder) {
            "setpriv --reuid=postgres --regid=postgres --clear-groups --"
        } else {
            ""
        };
        let port = free_port();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .args([&port.to_string(), other_user, arguments])
            .env("BINARIES", BINARIES)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let output = keeper.stdout.take().expect("it is piped");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        assert!(read.is_ok() && line == "started\n", "{}", log(&folder));
        let server = Self {
            port,
            _keeper: keeper,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        let port = self.port;
        let waiting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                for _ in 0..200 {
                    if try_admin(port, "postgres").await.is_ok() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                panic!("PostgreSQL does not answer");
            });
        });
        waiting.join().expect("PostgreSQL answers");
    }

    /// A new, empty database, dropped with what is returned.
    pub async fn database(&self) -> PrivateDatabase {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        let created = admin(self.port, "postgres")
            .await
            .batch_execute(&create)
            .await;
        created.expect("PostgreSQL creates a database");
        PrivateDatabase {
            port: self.port,
            name,
        }
    }
}

impl PrivateDatabase {
    /// Its `DATABASE_URL`.
    pub fn url(&self) -> String {
        let (port, name) = (self.port, &self.name);
        format!("postgresql://{USER}:secret@127.0.0.1:{port}/{name}")
    }

    /// A connection of an administrator.
    pub async fn admin(&self) -> Client {
        admin(self.port, &self.name).await
    }
}

impl Drop for PrivateDatabase {
    fn drop(&mut self) {
        let (port, name) = (self.port, std::mem::take(&mut self.name));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                if let Ok(client) = try_admin(port, "postgres").await {
                    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
                    let _ = client.batch_execute(&drop).await;
                }
            });
        });
    }
}

/// Where this process is root's, the server is another user's, and so must be its files; whether that
/// is so.
pub fn give_to_server(folder: &Path) -> bool {
    let of_this_process = std::fs::metadata("/proc/self").expect("there is /proc");
    if std::os::unix::fs::MetadataExt::uid(&of_this_process) != 0 {
        return false;
    }
    let owned = Command::new("chown")
        .args(["-R", "postgres"])
        .arg(folder)
        .status();
    assert!(owned.is_ok_and(|status| status.success()), "chown");
    true
}

/// A database on the server that all tests of this process share.
pub async fn database() -> PrivateDatabase {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("")).database().await
}

async fn admin(port: u16, database: &str) -> Client {
    try_admin(port, database).await.expect("PostgreSQL answers")
}

async fn try_admin(port: u16, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(USER)
        .dbname(database);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

fn log(folder: &Path) -> String {
    ["initdb.log", "postgres.log"]
        .map(|name| std::fs::read_to_string(folder.join(name)).unwrap_or_default())
        .concat()
}
