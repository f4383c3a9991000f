//! What servers keep their state in: a folder of their own, or PostgreSQL, Redis and RabbitMQ.

mod consumer;
mod probe;

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::Context;

use crate::servers::{
    HasProcess, Postgres, PrivateDatabase, PrivateNumber, PrivateVhost, RabbitMq, Redis,
};

pub use consumer::Consumer;
pub use probe::{Counts, Probe};

/// Longest path of a folder for the backends: RabbitMQ's control socket in it has 108 bytes at most.
const FOLDER_BYTES_MAX: usize = 64;

/// PostgreSQL, Redis and RabbitMQ of this run of the tool. They and all that is on them end with it.
pub struct Backends {
    // Before the servers, so that nothing is tidied up that is gone.
    places: RefCell<Vec<Rc<Place>>>,
    by_socket: bool,
    postgres: Postgres,
    redis: Redis,
    rabbitmq: RabbitMq,
}

/// What one server has on them.
pub struct Place {
    pub database: PrivateDatabase,
    /// How the server reaches it.
    database_url: String,
    number: PrivateNumber,
    vhost: PrivateVhost,
}

impl Backends {
    /// Starts them, set up as in production, in folders below this one. Servers reach PostgreSQL over
    /// its Unix socket where it is to be `by_socket`.
    pub fn start(folder: &Path, by_socket: bool) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = fs::canonicalize(folder)?;
        anyhow::ensure!(
            folder.as_os_str().len() <= FOLDER_BYTES_MAX,
            "a shorter --folder is needed than {}",
            folder.display()
        );
        let folder = folder.as_path();
        let started = std::thread::scope(|scope| {
            let postgres = scope.spawn(|| Postgres::in_production(folder));
            let redis = scope.spawn(|| Redis::in_production(folder));
            let rabbitmq = scope.spawn(|| RabbitMq::in_production(folder));
            Some((
                postgres.join().ok()?,
                redis.join().ok()?,
                rabbitmq.join().ok()?,
            ))
        });
        let (postgres, redis, rabbitmq) = started.context("the backends do not start")?;
        Ok(Self {
            places: RefCell::default(),
            by_socket,
            postgres,
            redis,
            rabbitmq,
        })
    }

    /// An empty database, logical database and virtual host.
    pub fn place(&self) -> Rc<Place> {
        self.place_with(self.postgres.database())
    }

    /// The same with a copy of the database of another place, whose server must have ended.
    pub fn copy(&self, original: &Place) -> anyhow::Result<Rc<Place>> {
        let database = self.postgres.copy(&original.database);
        Ok(self.place_with(database.context("the database cannot be copied")?))
    }

    fn place_with(&self, database: PrivateDatabase) -> Rc<Place> {
        let database_url = match self.by_socket {
            true => self.postgres.url_by_socket(&database),
            false => database.url(),
        };
        let place = Rc::new(Place {
            database,
            database_url,
            number: self.redis.number(),
            vhost: self.rabbitmq.vhost(),
        });
        // Kept to the end, because dropping a database costs what would be measured with the next.
        self.places.borrow_mut().push(Rc::clone(&place));
        place
    }

    /// Their names and first processes.
    pub fn processes(&self) -> Vec<(&'static str, u32)> {
        vec![
            ("postgresql", self.postgres.process().id()),
            ("redis", self.redis.process().id()),
            ("rabbitmq", self.rabbitmq.process().id()),
        ]
    }
}

impl Place {
    /// The variables that point a server at it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_URL", self.database_url.clone()),
            ("REDIS_URL", self.number.url()),
            ("RABBITMQ_URL", self.vhost.url()),
        ]
    }
}
