//! Everything that can go wrong with somebody whom the server needs.

use std::sync::Arc;
use std::time::Duration;

use crate::harness::*;
use crate::servers::{self, Conduct, Own, Passage, Postgres, RabbitMq, Redis, Stub};

use super::super::looks::Ways;

/// Whom something happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Postgres,
    Redis,
    RabbitMq,
    Questions,
}

/// What happens.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Connections end, and new ones are refused.
    Cut,
    /// Connections are reset, and new ones as well.
    Reset,
    /// What is sent vanishes; connections of that time stay dead.
    Blackholed,
    /// Each chunk takes so many milliseconds, in each direction.
    Slow(u64),
    /// SIGKILL, and a start with the same data.
    Killed,
    /// SIGKILL, and a start without any data.
    Emptied,
    /// Frozen as a whole.
    Paused,
    /// What it held is gone; it goes on.
    Flushed,
    /// It takes no messages.
    Blocked,
    /// What is written is committed, and the answer is lost.
    CommitsUnanswered,
    /// Whoever connects can only read, and all had to connect again.
    ReplacedByCopy,
    /// Nobody can write any more.
    OnlyRead,
    /// There is no connection left to be had.
    Crowded,
    /// There is no connection left to be had, and those that were there are ended.
    Full,
    /// It answers so.
    Answers(&'static str, Conduct),
}

/// A server with all that can be done to its neighbours.
pub struct Site {
    pub server: Server,
    pub neighbours: Arc<Neighbours>,
    questions: Stub,
    ways: Ways,
    own: Belongings,
}

/// Servers that belong to this site, because something is done to them as a whole.
#[derive(Default)]
struct Belongings {
    postgres: Option<Arc<Own<Postgres>>>,
    redis: Option<Arc<Own<Redis>>>,
    rabbitmq: Option<Arc<Own<RabbitMq>>>,
}

/// What the question service answers where nothing is the matter with it.
fn good() -> Conduct {
    let one = json!([{"id": 17, "title": "Two Sum", "difficulty": "Easy", "topics": ["Array"]}]);
    Conduct::Answer(200, one.to_string())
}

impl Belongings {
    fn of(whom: Whom, fault: &Fault) -> Self {
        let mut own = Self::default();
        let is_whole = matches!(
            fault,
            Fault::Killed | Fault::Emptied | Fault::Paused | Fault::Blocked | Fault::OnlyRead
        );
        match whom {
            _ if !is_whole => {}
            Whom::Postgres => own.postgres = Some(Arc::new(Postgres::own())),
            Whom::Redis => own.redis = Some(Arc::new(Redis::own())),
            Whom::RabbitMq => own.rabbitmq = Some(Arc::new(RabbitMq::own())),
            Whom::Questions => {}
        }
        own
    }

    fn neighbours(&self) -> Neighbours {
        servers::start_all();
        let (postgres, redis, rabbitmq) = (&self.postgres, &self.redis, &self.rabbitmq);
        Neighbours {
            database: match postgres {
                Some(own) => own.database(),
                None => servers::postgres().database(),
            },
            number: match redis {
                Some(own) => own.number(),
                None => servers::redis().number(),
            },
            vhost: match rabbitmq {
                Some(own) => own.vhost(),
                None => servers::rabbitmq().vhost(),
            },
        }
    }
}

impl Site {
    /// One where `fault` can happen to `whom`.
    pub async fn of(whom: Whom, fault: &Fault) -> Self {
        let own = Belongings::of(whom, fault);
        let neighbours = Arc::new(own.neighbours());
        let mut ways = Ways::to(&neighbours);
        ways.postgres = Passage::to(&neighbours.database.url_of_owner());
        ways.open();
        let questions = Stub::new(good()).await;
        let server = Options::on(Backends::Real(Arc::clone(&neighbours)))
            .with("DATABASE_URL", ways.postgres.url())
            .with("REDIS_URL", ways.redis.url())
            .with("RABBITMQ_URL", ways.rabbitmq.url())
            .with("QUESTION_SERVICE_URL", questions.base())
            .with("ASK_BURST", 100_000)
            .with("ASKS_PER_SECOND", 100_000)
            .start()
            .await;
        Self {
            server,
            neighbours,
            questions,
            ways,
            own,
        }
    }

    fn way(&self, whom: Whom) -> &Passage {
        match whom {
            Whom::Postgres => &self.ways.postgres,
            Whom::Redis => &self.ways.redis,
            Whom::RabbitMq => &self.ways.rabbitmq,
            Whom::Questions => unreachable!("the stub is told itself"),
        }
    }

    /// It happens.
    pub async fn begins(&self, whom: Whom, fault: &Fault) {
        let database = &self.neighbours.database;
        match fault {
            Fault::Cut => self.way(whom).shut(),
            Fault::Reset => self.way(whom).reset(),
            Fault::Blackholed => self.way(whom).blackhole(),
            Fault::Slow(latency_ms) => self.way(whom).slow(Duration::from_millis(*latency_ms)),
            Fault::CommitsUnanswered => self.way(whom).swallow_commits(),
            Fault::Killed | Fault::Emptied | Fault::Paused => self.signalled(fault).await,
            Fault::Flushed => self.neighbours.number.flush(),
            Fault::Blocked => self.rabbitmq().has_full_memory(true),
            Fault::OnlyRead => self.postgres().is_only_read(true),
            Fault::ReplacedByCopy => {
                database.is_only_read(true);
                database.end_connections();
            }
            Fault::Crowded => database.takes_connections(false),
            Fault::Full => {
                database.takes_connections(false);
                database.end_connections();
            }
            Fault::Answers(_, conduct) => self.questions.now(conduct.clone()),
        }
    }

    /// Gives way to processes that take a moment to be gone or frozen.
    async fn signalled(&self, fault: &Fault) {
        let own = Belongings {
            postgres: self.own.postgres.clone(),
            redis: self.own.redis.clone(),
            rabbitmq: self.own.rabbitmq.clone(),
        };
        let pauses = matches!(fault, Fault::Paused);
        let done =
            tokio::task::spawn_blocking(move || match (&own.postgres, &own.redis, &own.rabbitmq) {
                (Some(own), ..) if pauses => own.pause(),
                (Some(own), ..) => own.kill(),
                (_, Some(own), _) if pauses => own.pause(),
                (_, Some(own), _) => own.kill(),
                (.., Some(own)) if pauses => own.pause(),
                (.., Some(own)) => own.kill_settled(),
                (None, None, None) => unreachable!("it has a server of its own"),
            });
        done.await.expect("it is done");
    }

    /// It is over.
    pub async fn ends(&self, whom: Whom, fault: &Fault) {
        let database = &self.neighbours.database;
        let own = &self.own;
        match fault {
            Fault::Cut | Fault::Reset | Fault::Blackholed | Fault::Slow(_) => self.way(whom).open(),
            Fault::CommitsUnanswered => {
                let way = self.way(whom);
                way.open();
                assert!(way.swallowed() > 0, "no answer was lost");
            }
            Fault::Killed => match (&own.postgres, &own.redis, &own.rabbitmq) {
                (Some(own), ..) => own.restart().await,
                (_, Some(own), _) => own.restart().await,
                (.., own) => own.as_ref().expect("it was killed").restart().await,
            },
            Fault::Paused => match (&own.postgres, &own.redis, &own.rabbitmq) {
                (Some(own), ..) => own.resume(),
                (_, Some(own), _) => own.resume(),
                (.., own) => own.as_ref().expect("it was paused").resume(),
            },
            Fault::Emptied => {
                let redis = own.redis.as_ref().expect("Redis was killed");
                redis.restart_empty().await;
            }
            Fault::Flushed => {}
            Fault::Blocked => self.rabbitmq().has_full_memory(false),
            Fault::OnlyRead => self.postgres().is_only_read(false),
            Fault::ReplacedByCopy => database.is_only_read(false),
            Fault::Crowded | Fault::Full => database.takes_connections(true),
            Fault::Answers(..) => self.questions.now(good()),
        }
    }

    fn postgres(&self) -> &Own<Postgres> {
        self.own.postgres.as_ref().expect("it has its own")
    }

    fn rabbitmq(&self) -> &Own<RabbitMq> {
        self.own.rabbitmq.as_ref().expect("it has its own")
    }
}
