//! PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

use super::process::{Folder, Process, free_port, in_account};
use super::{HasProcess, Own, PASSWORD, USER, in_background};

/// What differs from the defaults in every server.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    // Not in /dev/shm, where a killed server leaves it behind.
    "dynamic_shared_memory_type=mmap",
    "log_min_messages=warning",
];
/// What differs as well where many tests share a server: room for all, and little memory and disk.
const SMALL: &[&str] = &[
    "max_connections=400",
    "shared_buffers=32MB",
    "min_wal_size=16MB",
    "max_wal_size=256MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "jit=off",
];
/// What a benchmark relies on. They are the defaults, said aloud.
const DURABLE: &[&str] = &["synchronous_commit=on", "full_page_writes=on"];

/// What the statements that write keep, and no constraint says again: the rows for which it does not hold.
const BROKEN: &str = "
SELECT 'the state of ticket ' || id FROM matchmaker.tickets
WHERE (match_id IS NOT NULL) <> (status IN ('matched', 'in_session'))
    OR (ended_at_ms IS NULL) <> (status IN ('waiting', 'matched'))
UNION ALL
SELECT 'the state of match ' || id FROM matchmaker.matches
WHERE (ended_at_ms IS NULL) <> (state = 'open')
    OR (state = 'in_session' AND NOT (confirmed_first AND confirmed_second))
UNION ALL
SELECT 'the two of match ' || id FROM matchmaker.matches
WHERE first_ticket = second_ticket OR first_user = second_user
UNION ALL
SELECT 'the match of session ' || id FROM matchmaker.sessions
WHERE first_user = second_user
    OR NOT EXISTS (SELECT FROM matchmaker.matches WHERE matches.id = sessions.match_id)
UNION ALL
SELECT 'the session of announcement ' || sequence FROM matchmaker.outbox
WHERE NOT EXISTS (SELECT FROM matchmaker.sessions WHERE sessions.id = outbox.session_id)
LIMIT 20";
/// Longest time that looking for them may take.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Longest time that other statements may take.
const RUN_MAX: Duration = Duration::from_secs(60);

/// How a server is set up.
struct Setup<'a> {
    authentication: &'a str,
    fsync: &'a str,
    settings: &'a [&'a str],
    create: &'a [&'a str],
}

/// A PostgreSQL server of this test process.
pub struct Postgres {
    admin: Admin,
    /// Where its Unix socket is.
    folder: PathBuf,
    process: Process,
}

impl Postgres {
    /// One that a test may kill. Commits cost what they cost elsewhere.
    pub fn own() -> Own<Self> {
        Own(Self::start(
            Folder::of("postgres"),
            &Setup {
                authentication: "scram-sha-256",
                fsync: "on",
                settings: SMALL,
                create: &["--no-sync", "--wal-segsize=1"],
            },
        ))
    }

    /// One as in production: what it acknowledged is on the disk of `parent`, and memory and
    /// checkpoints are as PostgreSQL has them by default.
    pub fn in_production(parent: &Path) -> Self {
        Self::start(
            Folder::below(parent, "postgres"),
            &Setup {
                authentication: "scram-sha-256",
                fsync: "on",
                settings: DURABLE,
                create: &[],
            },
        )
    }

    /// Nobody kills it, so it need not sync: a database takes 15 ms and not 60. And a password is proved
    /// by one digest and not by 4,096, for which a debug build takes 100 ms at each connection.
    pub(super) fn shared() -> Self {
        Self::start(
            Folder::of("postgres"),
            &Setup {
                authentication: "md5",
                fsync: "off",
                settings: SMALL,
                create: &["--no-sync", "--wal-segsize=1"],
            },
        )
    }

    fn start(folder: Folder, setup: &Setup) -> Self {
        let (data, sockets) = (folder.at("data"), folder.at(""));
        let password = folder.write("password", PASSWORD);
        let mut create = in_account(&binaries().join("initdb"));
        create.arg("-D").arg(&data).args(["-U", USER]);
        create.arg(format!("--pwfile={}", password.display()));
        create.arg(format!("--auth={}", setup.authentication));
        create.args(["--locale=C.UTF-8", "--encoding=UTF8"]);
        create.arg("--no-instructions").args(setup.create);
        let created = create.output().expect("there is setpriv");
        assert!(created.status.success(), "initdb: {created:?}");

        let admin = Admin { port: free_port() };
        let mut command = in_account(&binaries().join("postgres"));
        command.arg("-D").arg(&data);
        command.args(["-p", &admin.port.to_string()]);
        command.args(["-c", &format!("fsync={}", setup.fsync)]);
        let in_folder = format!("unix_socket_directories={}", sockets.display());
        command.args(["-c", &in_folder]);
        let settings = SETTINGS.iter().chain(setup.settings);
        command.args(settings.flat_map(|setting| ["-c", setting]));
        let answers = Arc::new(move || admin.run("SELECT 1").is_ok());
        let process = Process::start("PostgreSQL", folder, "INT", &command, answers);
        Self {
            admin,
            folder: sockets,
            process,
        }
    }

    /// The `DATABASE_URL` of one of its databases over its Unix socket.
    pub fn url_by_socket(&self, database: &PrivateDatabase) -> String {
        let (folder, port, name) = (self.folder.display(), self.admin.port, &database.name);
        format!("postgresql:///{name}?host={folder}&port={port}&user={USER}&password={PASSWORD}")
    }

    /// A new, empty database, dropped with what is returned.
    pub fn database(&self) -> PrivateDatabase {
        // Nobody can be connected to template0, which would be in the way.
        let created = self.copy_of("template0");
        created.expect("PostgreSQL creates a database")
    }

    /// A copy of a database, dropped with what is returned.
    ///
    /// # Errors
    ///
    /// PostgreSQL's own, above all while somebody is connected to that database.
    pub fn copy(&self, original: &PrivateDatabase) -> Result<PrivateDatabase, Error> {
        self.copy_of(&original.name)
    }

    fn copy_of(&self, original: &str) -> Result<PrivateDatabase, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let create = format!("CREATE DATABASE {name} TEMPLATE {original} STRATEGY file_copy");
        self.admin.run(&create)?;
        let admin = self.admin;
        Ok(PrivateDatabase { admin, name })
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

    /// Its `DATABASE_URL` for somebody who owns it and nothing else: unlike the one who administers
    /// the server, whom no limit of connections keeps out.
    pub fn url_of_owner(&self) -> String {
        let (port, name) = (self.admin.port, &self.name);
        self.administer(&format!(
            "CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'; ALTER DATABASE {name} OWNER TO {name}"
        ));
        format!("postgresql://{name}:{PASSWORD}@127.0.0.1:{port}/{name}")
    }

    /// Whether its owner may have more connections than there are.
    pub fn takes_connections(&self, takes: bool) {
        let (name, limit) = (&self.name, if takes { -1 } else { 0 });
        self.administer(&format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}"));
    }

    /// Whether connections that are made from here on can only read. Those that are there stay as
    /// they are: so it is when a name leads to another server.
    pub fn is_only_read(&self, only: bool) {
        let name = &self.name;
        self.administer(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {only}"
        ));
    }

    /// Ends all its connections, as an operator would.
    pub fn end_connections(&self) {
        let name = &self.name;
        self.administer(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ));
    }

    /// The rows in it that no statement of ours writes, as far as it can be read.
    pub fn broken(&self) -> Vec<String> {
        let read = self.admin.on(&self.name, LOOK_MAX, async |client| {
            let rows = client.query(BROKEN, &[]).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        });
        match read {
            Ok(Some(rows)) => rows,
            Ok(None) => {
                eprintln!("{} was not looked through within {LOOK_MAX:?}", self.name);
                Vec::new()
            }
            Err(error) => {
                // It may be frozen or gone, or have no tables.
                let code = error.code().filter(|code| code.code().starts_with("42"));
                let is_away = code.is_none_or(|code| *code == SqlState::UNDEFINED_TABLE);
                assert!(is_away, "{}: {error:?}", self.name);
                Vec::new()
            }
        }
    }

    fn administer(&self, statements: &str) {
        let done = self.admin.run(statements);
        done.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }
}

impl Own<Postgres> {
    /// Whether the whole server can only be read, whatever its connections.
    pub fn is_only_read(&self, only: bool) {
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {only}");
        for statement in [set.as_str(), "SELECT pg_reload_conf()"] {
            let done = self.admin.run(statement);
            done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
}

impl Drop for PrivateDatabase {
    fn drop(&mut self) {
        let broken = match std::thread::panicking() {
            true => Vec::new(),
            false => self.broken(),
        };
        let (admin, name) = (self.admin, std::mem::take(&mut self.name));
        in_background(move || {
            let _ = admin.run(&format!("DROP DATABASE {name} WITH (FORCE)"));
            let _ = admin.run(&format!("DROP ROLE IF EXISTS {name}"));
        });
        assert_eq!(broken, Vec::<String>::new());
    }
}

#[derive(Debug, Clone, Copy)]
struct Admin {
    port: u16,
}

impl Admin {
    /// Runs statements on a connection of their own.
    fn run(self, statements: &str) -> Result<(), Error> {
        let run = self.on("postgres", RUN_MAX, async |client| {
            client.batch_execute(statements).await
        });
        run.map(|done| done.expect("PostgreSQL answers"))
    }

    /// Does `work` on a connection of its own, on a thread of its own, because the caller may be in a
    /// runtime; nothing where that takes longer than `max`.
    fn on<T: Send>(
        self,
        database: &str,
        max: Duration,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error> + Send,
    ) -> Result<Option<T>, Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname(database);
        config.user(USER).password(PASSWORD);
        config.connect_timeout(Duration::from_secs(2));
        let work = async move || {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            work(&client).await
        };
        let work = async move || timeout(max, work()).await.ok().transpose();
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
