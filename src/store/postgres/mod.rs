//! The store on PostgreSQL: each worker of the writer has a connection of its own, and sends a group
//! as one transaction in one go: what is to be locked, one statement for each kind of write, COMMIT.
//!
//! The commit does not wait for the answers, because a write that is not granted leaves nothing of
//! itself: its refusal is explained by reading its rows afterwards. A row that has changed meanwhile,
//! so that the write may be granted now, makes it run again.

mod batches;
mod cells;
mod open;
mod prepared;
mod records_of;
mod refusals;
mod statements;
mod target;
mod tls;

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Row, Statement};

use super::writer::{GroupError, GroupStore};
use batches::Plan;
use cells::{Array, PgId, arrays, values};
use domain::{Write, WriteOutcome};
use prepared::{
    ALL, ALONE, FINDS_LIVE, FINDS_MATCHES, FINDS_TICKETS, LOCKS_MATCHES, LOCKS_TICKETS,
};
use refusals::{Facts, Questions};
use target::{ConnectError, Session, sentence};

pub use open::{MIGRATIONS, PostgresOpenError, PostgresOptions, PostgresStore};
pub(super) use target::Target;

/// Longest time that a transaction may take, until its outcome counts as unknown. Where the answer is
/// lost at the end of an outage, everybody waits so long after it, and 5 s are promised (G10).
const ROUND_MAX: Duration = Duration::from_secs(3);
/// A connection that nobody used for so long is asked first whether it is there: a device on the way
/// may have forgotten it, and what is sent through it would be in doubt until [`ROUND_MAX`].
const UNUSED_MAX: Duration = Duration::from_secs(2);
/// Longest wait for that answer.
const ASKED_MAX: Duration = Duration::from_millis(300);
/// How often what was not granted runs again because its rows have changed meanwhile.
const ROUNDS_MAX: usize = 8;
/// How often in a row a group may meet a rival that claims the same at the same moment.
const RIVALS_MAX: usize = 3;

/// One connection that writes.
pub(super) struct PostgresGroups {
    target: Target,
    /// A lock that a connection of this worker holds as long as it lives.
    fence: i64,
    ready: Option<Ready>,
}

/// A connection that is ready to run groups.
struct Ready {
    session: Session,
    /// One for each of [`prepared::texts`].
    statements: Vec<Statement>,
    used_at: Instant,
}

/// One message on its way, with the rows that it is answered with.
type Sent<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

impl PostgresGroups {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            fence: rand::random(),
            ready: None,
        }
    }

    /// A connection that is open, as far as one can know.
    async fn ready(&mut self) -> Result<Ready, GroupError> {
        if let Some(ready) = self.ready.take()
            && ready.is_there().await
        {
            return Ok(ready);
        }
        let made = Ready::make(&self.target, self.fence).await;
        made.map_err(|error| GroupError::Away(error.to_string()))
    }
}

impl GroupStore for PostgresGroups {
    const SYSTEM: &'static str = "postgresql";

    async fn run(&mut self, writes: Arc<[Write]>) -> Result<Vec<WriteOutcome>, GroupError> {
        let mut outcomes: Vec<Option<WriteOutcome>> = writes.iter().map(batches::never).collect();
        let (mut committed, mut rivals) = (false, 0);
        for _ in 0..ROUNDS_MAX {
            let open = outcomes.iter().enumerate();
            let pending: Vec<usize> = open
                .filter(|(_, outcome)| outcome.is_none())
                .map(|(at, _)| at)
                .collect();
            if pending.is_empty() {
                break;
            }
            // What was committed already must not be called away: running it again tells.
            let known = |error: GroupError| match error {
                error if !committed => error,
                error => GroupError::Unknown(error.to_string()),
            };
            let mut ready = self.ready().await.map_err(known)?;
            let round = round(&ready, &writes, &pending, &mut outcomes);
            let Ok(result) = timeout(ROUND_MAX, round).await else {
                let reason = format!("no answer within {} ms", ROUND_MAX.as_millis());
                return Err(GroupError::Unknown(reason));
            };
            // A server that does not take writes may have become a copy of another one, to which a
            // connection made anew leads.
            let is_away = matches!(&result, Err(RoundError::Failed(GroupError::Away(_))));
            if !is_away && !ready.session.client.is_closed() {
                ready.used_at = Instant::now();
                self.ready = Some(ready);
            }
            match result {
                Ok(()) => (committed, rivals) = (true, 0),
                Err(RoundError::Rival(_)) if rivals < RIVALS_MAX => rivals += 1,
                Err(RoundError::Rival(reason)) => return Err(known(GroupError::Unfit(reason))),
                Err(RoundError::Failed(error)) => return Err(known(error)),
            }
        }
        let outcome = |outcome: Option<_>| outcome.unwrap_or(WriteOutcome::Unavailable);
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    async fn reach(&mut self) -> Result<(), GroupError> {
        self.ready = Some(self.ready().await?);
        Ok(())
    }
}

/// Why a round has no outcomes.
enum RoundError {
    /// Somebody claimed the same at the same moment; nothing was committed, and the next round sees
    /// that claim.
    Rival(String),
    Failed(GroupError),
}

impl Ready {
    /// Makes a connection, prepares its statements, and sees that no earlier one of the same worker
    /// goes on: what that one was sent has been done or never will be.
    async fn make(target: &Target, fence: i64) -> Result<Self, ConnectError> {
        let session = target.connect().await?;
        let client = &session.client;
        let (high, low) = (fence as u64 >> 32, fence as u32);
        let fenced = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks
             WHERE locktype = 'advisory' AND classid = {high}::bigint::oid
                 AND objid = {low}::bigint::oid AND objsubid = 1 AND pid <> pg_backend_pid();
             SELECT pg_advisory_lock({fence});"
        );
        let prepare = async {
            client.batch_execute(&fenced).await?;
            let texts = prepared::texts();
            try_join_all(texts.iter().map(|text| client.prepare(text))).await
        };
        let prepared = timeout(target::CONNECT_MAX, prepare).await;
        let statements = prepared.map_err(|_| ConnectError::Late)??;
        Ok(Self {
            session,
            statements,
            used_at: Instant::now(),
        })
    }

    /// Whether it is open, as far as one can know.
    async fn is_there(&self) -> bool {
        let client = &self.session.client;
        if client.is_closed() || self.used_at.elapsed() < UNUSED_MAX {
            return !client.is_closed();
        }
        let asked = timeout(ASKED_MAX, client.check_connection()).await;
        matches!(asked, Ok(Ok(())))
    }

    fn send<'a>(&'a self, at: usize, arrays: Vec<Array<'a>>) -> Sent<'a> {
        let (client, statement) = (&self.session.client, &self.statements[at]);
        Box::pin(async move {
            let rows = client.query_raw(statement, arrays).await?;
            rows.try_collect().await
        })
    }

    fn send_text<'a>(&'a self, text: &'a str) -> Sent<'a> {
        let client = &self.session.client;
        Box::pin(async move { client.batch_execute(text).await.map(|()| Vec::new()) })
    }

    fn send_ids<'a>(&'a self, at: usize, ids: impl IntoIterator<Item = uuid::Uuid>) -> Sent<'a> {
        self.send(at, vec![ids_array(ids)])
    }
}

fn ids_array<'a>(ids: impl IntoIterator<Item = uuid::Uuid>) -> Array<'a> {
    Box::new(ids.into_iter().map(PgId).collect::<Vec<_>>())
}

/// Runs what is pending as one transaction, and notes the outcomes that are known then.
async fn round(
    ready: &Ready,
    writes: &[Write],
    pending: &[usize],
    outcomes: &mut [Option<WriteOutcome>],
) -> Result<(), RoundError> {
    let unwritable =
        |error: serde_json::Error| RoundError::Failed(GroupError::Unfit(error.to_string()));
    let mut plan = Plan::of(writes, pending).map_err(unwritable)?;
    let single = plan.is_single();
    let mut sent = Vec::with_capacity(plan.batches.len() + 4);
    if !single {
        sent.push(ready.send_text("BEGIN"));
    }
    if !plan.matches.is_empty() {
        sent.push(ready.send_ids(LOCKS_MATCHES, plan.matches));
    }
    if !plan.tickets.is_empty() {
        sent.push(ready.send_ids(LOCKS_TICKETS, plan.tickets));
    }
    let first_batch = sent.len();
    for batch in &mut plan.batches {
        let mut rows = std::mem::take(&mut batch.rows);
        let parameters = ALL[batch.kind].parameters;
        sent.push(match rows.pop() {
            Some(row) if rows.is_empty() => ready.send(ALONE + batch.kind, values(parameters, row)),
            last => {
                rows.extend(last);
                ready.send(batch.kind, arrays(parameters, rows))
            }
        });
    }
    if !single {
        sent.push(ready.send_text("COMMIT"));
    }
    let last = sent.len() - 1;
    let mut granted = Vec::with_capacity(plan.batches.len());
    for (at, answer) in in_order(sent).await.into_iter().enumerate() {
        match answer {
            Ok(rows) => granted.push(rows),
            Err(error) => return Err(round_error(&error, at == last)),
        }
    }
    for (batch, rows) in plan
        .batches
        .iter()
        .zip(granted.into_iter().skip(first_batch))
    {
        let ids: Result<HashSet<PgId>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let ids = ids.map_err(|error: Error| unknown(&error))?;
        for (at, _) in batch
            .writes
            .iter()
            .filter(|(_, id)| ids.contains(&PgId(*id)))
        {
            outcomes[*at] = Some(WriteOutcome::Stored);
        }
    }
    let refused = pending.iter().copied();
    let refused: Vec<usize> = refused.filter(|at| outcomes[*at].is_none()).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let asked = refused.iter().map(|at| &writes[*at]);
    let facts = find(ready, asked).await.map_err(|error| unknown(&error))?;
    for at in refused {
        outcomes[at] = facts.outcome(&writes[at]);
    }
    Ok(())
}

/// Reads what tells why writes were not granted.
async fn find<'a>(ready: &Ready, writes: impl Iterator<Item = &'a Write>) -> Result<Facts, Error> {
    let mut questions = Questions::default();
    writes.for_each(|write| questions.add(write));
    let users: Vec<String> = questions.users.into_iter().collect();
    let (matches, sessions) = (questions.matches, questions.sessions);
    // The claims are read first: whoever is found by them is not looked up as stored any later.
    let mut sent = Vec::new();
    if !users.is_empty() {
        sent.push((FINDS_LIVE, vec![Box::new(users) as Array<'_>]));
    }
    if !questions.tickets.is_empty() {
        sent.push((FINDS_TICKETS, vec![ids_array(questions.tickets)]));
    }
    if !matches.is_empty() {
        let by = vec![ids_array(matches), ids_array(sessions)];
        sent.push((FINDS_MATCHES, by));
    }
    let finds: Vec<usize> = sent.iter().map(|(at, _)| *at).collect();
    let sent = sent.into_iter().map(|(at, arrays)| ready.send(at, arrays));
    let mut facts = Facts::default();
    for (find, rows) in finds.into_iter().zip(in_order(sent.collect()).await) {
        for row in rows? {
            match find {
                FINDS_LIVE => facts.add_live(&row)?,
                FINDS_TICKETS => facts.add_ticket(&row)?,
                _ => facts.add_match(&row)?,
            }
        }
    }
    Ok(facts)
}

/// Sends all, in this order, before any is answered. A message is sent when it is first polled.
async fn in_order(mut sent: Vec<Sent<'_>>) -> Vec<Result<Vec<Row>, Error>> {
    let mut answers: Vec<Option<Result<Vec<Row>, Error>>> = Vec::new();
    answers.resize_with(sent.len(), || None);
    poll_fn(|context| {
        let mut waiting = false;
        for (message, answer) in sent.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match message.as_mut().poll(context) {
                    Poll::Ready(ready) => *answer = Some(ready),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// What the first error of a transaction says; `committing` is the message that would commit it.
fn round_error(error: &Error, committing: bool) -> RoundError {
    let reason = sentence(error);
    let Some(code) = error.code() else {
        // All was sent already, COMMIT included, so a lost connection leaves it open. Where the
        // message could not even be encoded, none of it was committed.
        let lost = error.is_closed() || error.to_string().contains("communicating");
        return RoundError::Failed(if lost {
            GroupError::Unknown(reason)
        } else {
            GroupError::Unfit(reason)
        });
    };
    if *code == SqlState::UNIQUE_VIOLATION {
        return RoundError::Rival(reason);
    }
    let contended = [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    RoundError::Failed(match code.code().get(..2) {
        _ if contended.contains(code) => GroupError::Contended(reason),
        // What breaks a constraint, and what a column does not take.
        Some("22" | "23") => GroupError::Unfit(reason),
        // The server ends the connection, and a commit may have been on its way.
        Some("57") if committing && *code != SqlState::QUERY_CANCELED => {
            GroupError::Unknown(reason)
        }
        _ => GroupError::Away(reason),
    })
}

/// After the commit: it was stored, but what exactly is not known.
fn unknown(error: &Error) -> RoundError {
    RoundError::Failed(GroupError::Unknown(sentence(error)))
}
