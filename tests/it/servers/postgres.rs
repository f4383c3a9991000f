//! PostgreSQL.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{Config, NoTls};

use super::process::{Folder, Process, free_port, in_account};
use super::{HasProcess, Own, PASSWORD, USER, in_background};

/// What differs from the defaults. A kill of the server alone loses nothing that was written, but
/// `fsync` stays on, so that commits cost what they cost elsewhere.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=400",
    "shared_buffers=32MB",
    // Not in /dev/shm, where a killed server leaves it behind.
    "dynamic_shared_memory_type=mmap",
    "min_wal_size=16MB",
    "max_wal_size=256MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "jit=off",
    "log_min_messages=warning",
];

/// A PostgreSQL server of this test process.
pub struct Postgres {
    admin: Admin,
    process: Process,
}

impl Postgres {
    /// One that a test may kill.
    pub fn own() -> Own<Self> {
        Own(Self::start())
    }

    pub(super) fn start() -> Self {
        let folder = Folder::of("postgres");
        let data = folder.at("data");
        let password = folder.write("password", PASSWORD);
        let mut create = in_account(&binaries().join("initdb"));
        create.arg("-D").arg(&data).args(["-U", USER]);
        create.arg(format!("--pwfile={}", password.display()));
        create.args([
            "--auth=scram-sha-256",
            "--locale=C.UTF-8",
            "--encoding=UTF8",
        ]);
        create.args(["--no-sync", "--no-instructions", "--wal-segsize=1"]);
        let created = create.output().expect("there is setpriv");
        assert!(created.status.success(), "initdb: {created:?}");

        let admin = Admin { port: free_port() };
        let mut command = in_account(&binaries().join("postgres"));
        command.arg("-D").arg(&data);
        command.args(["-p", &admin.port.to_string()]);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let answers = Arc::new(move || admin.run("SELECT 1").is_ok());
        let process = Process::start("PostgreSQL", folder, "INT", &command, answers);
        Self { admin, process }
    }

    /// A new, empty database, dropped with what is returned.
    pub fn database(&self) -> PrivateDatabase {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        // From template0: nobody can be connected to it, which would be in the way.
        let created = self
            .admin
            .run(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        created.expect("PostgreSQL creates a database");
        let admin = self.admin;
        PrivateDatabase { admin, name }
    }
}

impl HasProcess for Postgres {
    fn process(&self) -> &Process {
        &self.process
    }
}

/// A test's own database.
#[derive(Debug)]
pub struct PrivateDatabase {
    admin: Admin,
    name: String,
}

impl PrivateDatabase {
    /// Its `DATABASE_URL`.
    pub fn url(&self) -> String {
        let (port, name) = (self.admin.port, &self.name);
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/{name}")
    }
}

impl Drop for PrivateDatabase {
    fn drop(&mut self) {
        let (admin, name) = (self.admin, std::mem::take(&mut self.name));
        in_background(move || {
            let _ = admin.run(&format!("DROP DATABASE {name} WITH (FORCE)"));
        });
    }
}

#[derive(Debug, Clone, Copy)]
struct Admin {
    port: u16,
}

impl Admin {
    /// Runs statements on a connection of their own, on a thread of its own, because the caller may
    /// be in a runtime.
    fn run(self, statements: &str) -> Result<(), tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname("postgres");
        config.user(USER).password(PASSWORD);
        config.connect_timeout(Duration::from_secs(2));
        let work = async move || {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(statements).await
        };
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(work())
        };
        std::thread::scope(|scope| scope.spawn(run).join().expect("it does not panic"))
    }
}

/// The folder of the newest version that Debian's packages installed.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions
        .filter_map(|version| version.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let newest = newest.expect("PostgreSQL is installed; tests/run installs it");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}
