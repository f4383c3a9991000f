//! The store under test, and values to store in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use matchmaker::domain::limits::Timeouts;
use matchmaker::domain::{
    Difficulty, EventId, MatchId, Proposal, Question, SessionId, SessionRecord, Side, Ticket,
    TicketId, Timestamp, Topic, UserId, Wish, Write, WriteOutcome,
};
use matchmaker::ports::{Away, Clock, LiveState, Records, Store, StoredMatchState, StoredStatus};
use matchmaker::store::schema::{Id, outbox, sessions};
use matchmaker::store::{
    OpenedStore, PostgresOpenError, PostgresOptions, PostgresStore, Runtimes, SqliteOptions,
    SqliteStore, StoredHistory, StoredOutbox, StoredRecords, Writer,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::harness::eventually;
use crate::servers::{self, PrivateDatabase};

/// How often a read or a write is tried again.
const TRIES_MAX: usize = 10;

/// What is read. A busy machine may take longer to connect than a read waits. (What [`eventually`]
/// awaits cannot be sent to another thread.)
async fn answer<T, F>(mut read: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, Away>>,
{
    let mut tries = 0;
    loop {
        match read().await {
            Err(_) if tries < TRIES_MAX => tries += 1,
            answer => return answer.expect("the store answers"),
        }
    }
}

/// The store at this URL. A busy machine may take longer to connect than the store waits.
pub async fn open_on_postgres(url: &str, clock: &Arc<dyn Clock>) -> OpenedStore {
    eventually("PostgreSQL answers", async || {
        let options = PostgresOptions::default();
        match PostgresStore::open(url, options, clock, &Runtimes::current()).await {
            Err(PostgresOpenError::Away { .. }) => None,
            opened => Some(opened.expect("the store opens")),
        }
    })
    .await
}

/// A clock that stands where it is put.
#[derive(Debug, Default)]
pub struct StoppedClock(AtomicI64);

impl StoppedClock {
    pub fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ms)))
    }

    pub fn put_at(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        at_ms(self.0.load(Ordering::SeqCst))
    }
}

/// Where a store keeps its rows; removed with the last test that uses it.
#[derive(Clone)]
pub enum Place {
    Sqlite(Arc<TempDir>),
    Postgres(Arc<PrivateDatabase>),
}

/// A store of its own for one test, with everything that is needed to look into it.
#[derive(Clone)]
pub struct Subject {
    writer: Arc<Writer>,
    records: Arc<StoredRecords>,
    clock: Arc<StoppedClock>,
    place: Place,
}

impl Subject {
    /// An empty store on the backend that the path of the test's module names.
    pub async fn fresh(test: &str) -> Self {
        if test.contains("store_on_postgres") {
            Self::on_postgres().await
        } else {
            Self::on_sqlite().await
        }
    }

    pub async fn on_sqlite() -> Self {
        let place = Place::Sqlite(Arc::new(TempDir::new().expect("a temporary folder")));
        Self::at(place, StoppedClock::at(0)).await
    }

    pub async fn on_postgres() -> Self {
        let place = Place::Postgres(Arc::new(servers::postgres().database()));
        Self::at(place, StoppedClock::at(0)).await
    }

    async fn at(place: Place, clock: Arc<StoppedClock>) -> Self {
        let as_clock: Arc<dyn Clock> = clock.clone();
        let OpenedStore { writer, records } = match &place {
            Place::Sqlite(folder) => {
                let options = SqliteOptions::default();
                SqliteStore::open(&file_in(folder), options, &as_clock, &Runtimes::current())
                    .expect("the store opens")
            }
            Place::Postgres(database) => open_on_postgres(&database.url(), &as_clock).await,
        };
        Self {
            writer,
            records,
            clock,
            place,
        }
    }

    /// The same database, opened once more: as after a restart, or as by a second server.
    pub async fn again(&self) -> Self {
        Self::at(self.place.clone(), Arc::clone(&self.clock)).await
    }

    pub fn outbox(&self) -> StoredOutbox {
        self.records.outbox()
    }

    pub fn history(&self) -> StoredHistory {
        self.records.history()
    }

    pub fn clock(&self) -> &StoppedClock {
        &self.clock
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn records(&self) -> &dyn Records {
        &*self.records
    }

    pub async fn close(&self) {
        self.writer.close().await;
    }

    /// Hands a write over at once; its outcome comes through the receiver.
    pub fn submit(
        &self,
        write: Write,
        deadline: Option<Timestamp>,
    ) -> oneshot::Receiver<WriteOutcome> {
        let (done, outcome) = oneshot::channel();
        let done = Box::new(move |outcome| drop(done.send(outcome)));
        self.writer.submit(write, deadline, done);
        outcome
    }

    /// What became of a write, which is repeated where a busy machine could not store it in time: one
    /// that was stored all the same is known again.
    pub async fn write(&self, write: Write) -> WriteOutcome {
        let mut tries = 0;
        loop {
            let outcome = self.submit(write.clone(), None).await;
            match outcome.expect("every write is answered") {
                WriteOutcome::Unavailable if tries < TRIES_MAX => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// All of them handed over at the same moment, so that they share a transaction.
    pub async fn write_together(
        &self,
        writes: impl IntoIterator<Item = Write>,
    ) -> Vec<WriteOutcome> {
        let submitted: Vec<_> = writes
            .into_iter()
            .map(|write| self.submit(write, None))
            .collect();
        let mut outcomes = Vec::new();
        for outcome in submitted {
            outcomes.push(outcome.await.expect("every write is answered"));
        }
        outcomes
    }

    #[track_caller]
    pub fn stores(&self, writes: impl IntoIterator<Item = Write>) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let writes: Vec<Write> = writes.into_iter().collect();
        async move {
            for write in writes {
                let outcome = self.write(write.clone()).await;
                assert_eq!(outcome, WriteOutcome::Stored, "{write:?} at {caller}");
            }
        }
    }

    pub async fn live(&self) -> LiveState {
        let live = answer(|| self.records.live(self.clock.now())).await;
        assert_eq!(live.contradictions, []);
        live
    }

    pub async fn status(&self, ticket: TicketId) -> Option<StoredStatus> {
        let stored = answer(|| self.records.ticket(ticket)).await;
        stored.map(|stored| stored.status)
    }

    pub async fn match_state(&self, number: u64) -> Option<StoredMatchState> {
        let stored = answer(|| self.records.find_match(match_id(number))).await;
        stored.map(|stored| stored.state)
    }

    /// What was announced: session, routing key and body, in order.
    pub async fn announced(&self) -> Vec<(SessionId, String, String)> {
        let unsent = outbox::table
            .order(outbox::sequence)
            .filter(outbox::sent_at_ms.is_null())
            .select((outbox::session_id, outbox::routing_key, outbox::body));
        let rows: QueryResult<Vec<(Id, String, String)>> = match &self.place {
            Place::Sqlite(_) => unsent.load(&mut self.sqlite()),
            Place::Postgres(database) => {
                diesel_async::RunQueryDsl::load(unsent, &mut connect(database).await).await
            }
        };
        let announced = |(session, key, body): (Id, _, _)| (session.into(), key, body);
        let rows = rows.expect("the outbox can be read");
        rows.into_iter().map(announced).collect()
    }

    /// When each side left session `number`.
    pub async fn left_at_ms(&self, number: u64) -> [Option<i64>; 2] {
        let left = sessions::table
            .find(Id::from(session_id(number)))
            .select((sessions::left_first_ms, sessions::left_second_ms));
        let sides: QueryResult<(Option<i64>, Option<i64>)> = match &self.place {
            Place::Sqlite(_) => left.first(&mut self.sqlite()),
            Place::Postgres(database) => {
                diesel_async::RunQueryDsl::first(left, &mut connect(database).await).await
            }
        };
        sides.expect("the session can be read").into()
    }

    pub fn database(&self) -> &PrivateDatabase {
        match &self.place {
            Place::Postgres(database) => database,
            Place::Sqlite(_) => panic!("this store is on SQLite"),
        }
    }

    pub fn path(&self) -> PathBuf {
        match &self.place {
            Place::Sqlite(folder) => file_in(folder),
            Place::Postgres(_) => panic!("this store is on PostgreSQL"),
        }
    }

    /// A connection of its own to the file.
    pub fn sqlite(&self) -> SqliteConnection {
        let file = self.path();
        let file = file.to_str().expect("a folder with a UTF-8 name");
        SqliteConnection::establish(file).expect("the file opens")
    }
}

/// A connection of an administrator.
pub async fn admin(database: &PrivateDatabase) -> Client {
    let connected = tokio_postgres::connect(&database.url(), NoTls).await;
    let (client, connection) = connected.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// A connection of its own, that finds our tables.
pub async fn connect(database: &PrivateDatabase) -> AsyncPgConnection {
    let url = format!("{}?options=-csearch_path%3Dmatchmaker", database.url());
    let connection = AsyncPgConnection::establish(&url).await;
    connection.expect("PostgreSQL answers")
}

fn file_in(place: &TempDir) -> PathBuf {
    place.path().join("data/matchmaker.db")
}

pub fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

pub fn user(number: u64) -> UserId {
    UserId::parse(&format!("user-{number}")).expect("a user id")
}

/// Ticket `number` of user `number`, enqueued `number` ms after the epoch.
pub fn ticket(number: u64) -> Ticket {
    let wish = Wish {
        difficulty: Difficulty::Medium,
        topic: Topic::parse("Hash  Table").expect("a topic"),
    };
    let now = at_ms(i64::try_from(number).expect("a small number"));
    Ticket::new(
        ticket_id(number),
        user(number),
        wish,
        now,
        Timeouts::default(),
    )
}

pub fn ticket_id(number: u64) -> TicketId {
    TicketId(Uuid::from_u128(number.into()))
}

pub fn match_id(number: u64) -> MatchId {
    MatchId(Uuid::from_u128(1_000_000 + u128::from(number)))
}

pub fn session_id(number: u64) -> SessionId {
    SessionId(Uuid::from_u128(2_000_000 + u128::from(number)))
}

pub fn event_id(number: u64) -> EventId {
    EventId(Uuid::from_u128(3_000_000 + u128::from(number)))
}

/// Match `number` of these tickets, of the users with the same numbers.
pub fn proposal(number: u64, tickets: [u64; 2]) -> Proposal {
    Proposal {
        id: match_id(number),
        session: session_id(number),
        bucket: ticket(1).wish.bucket(),
        tickets: tickets.map(ticket_id),
        users: tickets.map(user),
        proposed_at: at_ms(5_000),
        expires_at: at_ms(8_000),
    }
}

pub fn confirm(number: u64, side: Side) -> Write {
    Write::ConfirmMatch {
        match_id: match_id(number),
        side,
    }
}

/// Session `number` of the match with the same number and these tickets.
pub fn session(number: u64, tickets: [u64; 2]) -> SessionRecord {
    SessionRecord {
        id: session_id(number),
        match_id: match_id(number),
        users: tickets.map(user),
        question: Question {
            id: 17,
            title: "Two \"Sum\"".into(),
            difficulty: "medium".into(),
            topics: vec!["Array".into(), "Hash Table".into()],
        },
        opened_at: at_ms(1_762_756_823_456),
        ends_at: at_ms(1_762_756_823_456 + 21_600_000),
        left: [false, false],
    }
}

pub fn open_session(number: u64, tickets: [u64; 2]) -> Write {
    Write::OpenSession {
        session: session(number, tickets),
        tickets: tickets.map(ticket_id),
        event: event_id(number),
        confirms: None,
    }
}

/// From nothing to match `number` of these tickets.
pub fn up_to_match(number: u64, tickets: [u64; 2]) -> Vec<Write> {
    let [first, second] = tickets.map(|number| Write::OpenTicket(ticket(number)));
    vec![
        first,
        second,
        Write::ProposeMatch(proposal(number, tickets)),
    ]
}

/// From nothing to a match that both have confirmed.
pub fn up_to_confirmed(number: u64, tickets: [u64; 2]) -> Vec<Write> {
    let mut writes = up_to_match(number, tickets);
    writes.extend(Side::BOTH.map(|side| confirm(number, side)));
    writes
}

/// From nothing to session `number` of these tickets.
pub fn up_to_session(number: u64, tickets: [u64; 2]) -> Vec<Write> {
    let mut writes = up_to_confirmed(number, tickets);
    writes.push(open_session(number, tickets));
    writes
}
