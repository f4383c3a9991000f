//! The connections to Redis and RabbitMQ, and those who ask each server whether it answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::AppError;
use adapters::redis::{RedisLink, RedisOptions};
use adapters::{RabbitOptions, RabbitPublisher};
use observability::{Needed, NeededBackends};
use ports::{Away, Records};
use settings::Settings;
use store::StoredRecords;

/// How often each server is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The connections that exist before anything is stored or read. Nobody waits for them: what needs
/// a server that is away waits, and all else goes on.
pub struct Links {
    /// To Redis, where it is configured.
    pub redis: Option<Arc<RedisLink>>,
    /// To RabbitMQ, where it is configured.
    pub rabbitmq: Option<Arc<RabbitPublisher>>,
    /// Those who ask.
    pub watches: Watches,
}

/// Those who ask; dropping this ends them.
pub struct Watches {
    needed: Arc<NeededBackends>,
    io: Handle,
    tasks: Vec<JoinHandle<()>>,
}

impl Links {
    /// Opens them in the background.
    ///
    /// # Errors
    ///
    /// [`AppError::Neighbour`] where an address cannot be used at all.
    pub fn open(
        settings: &Settings,
        needed: &Arc<NeededBackends>,
        io: &Handle,
    ) -> Result<Self, AppError> {
        let mut links = Self {
            redis: None,
            rabbitmq: None,
            watches: Watches {
                needed: Arc::clone(needed),
                io: io.clone(),
                tasks: Vec::new(),
            },
        };
        let root_certificates = root_certificates(settings)?;
        if let Some(url) = &settings.redis {
            let options = RedisOptions {
                url: url.expose().to_owned(),
                key_prefix: String::new(),
                root_certificates: root_certificates.clone(),
            };
            let link = RedisLink::new(&options, io.clone())
                .map_err(|fault| AppError::Neighbour(fault.to_string()))?;
            let asked = Arc::clone(&link);
            links.watches.watch(Needed::Redis, move || {
                let link = Arc::clone(&asked);
                async move { link.ping().await }
            });
            links.redis = Some(link);
        }
        if let Some(url) = &settings.rabbitmq {
            let options = RabbitOptions {
                url: url.expose().to_owned(),
                root_certificates,
            };
            let publisher = RabbitPublisher::new(&options, io.clone())
                .map_err(|fault| AppError::Neighbour(fault.to_string()))?;
            let publisher = Arc::new(publisher);
            let asked = Arc::clone(&publisher);
            links.watches.watch(Needed::RabbitMq, move || {
                let publisher = Arc::clone(&asked);
                async move { publisher.connect().await }
            });
            links.rabbitmq = Some(publisher);
        }
        Ok(links)
    }
}

fn root_certificates(settings: &Settings) -> Result<Option<String>, AppError> {
    let Some(file) = &settings.root_certificates else {
        return Ok(None);
    };
    let unreadable = |problem| {
        let file = file.display();
        AppError::Neighbour(format!("the file of ROOT_CERTIFICATES, {file}: {problem}"))
    };
    std::fs::read_to_string(file).map(Some).map_err(unreadable)
}

impl Watches {
    /// Asks the database as well.
    pub fn watch_database(&mut self, records: &Arc<StoredRecords>) {
        let asked = Arc::clone(records);
        self.watch(Needed::PostgreSql, move || {
            let records = Arc::clone(&asked);
            async move { records.ping().await }
        });
    }

    fn watch<F>(&mut self, backend: Needed, ask: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), Away>> + Send + 'static,
    {
        let needed = Arc::clone(&self.needed);
        needed.need(backend);
        self.tasks.push(self.io.spawn(async move {
            loop {
                let answered = ask().await.map_err(|away| away.reason);
                needed.note(backend, answered);
                sleep(ASK_EVERY).await;
            }
        }));
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
