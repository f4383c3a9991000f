//! The store on one SQLite file: one writer, one immediate transaction per group.

mod matches;
mod open;
mod tickets;

use std::sync::Arc;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{QueryResult, SqliteConnection};
use tokio::runtime::Handle;

use super::writer::{GroupError, GroupStore};
use domain::{Write, WriteOutcome};

pub use open::{MIGRATIONS, SqliteOptions, SqliteStore, StoreOpenError};
pub(super) use open::{READER_SETTINGS, RELAY_SETTINGS, REMOVER_SETTINGS};

/// The one connection that writes.
pub(super) struct SqliteGroups {
    path: Arc<str>,
    /// None after an error that the connection may not have survived.
    connection: Option<SqliteConnection>,
    /// Where threads may block.
    blocking: Handle,
}

impl GroupStore for SqliteGroups {
    const SYSTEM: &'static str = "sqlite";

    async fn run(&mut self, writes: Arc<[Write]>) -> Result<Vec<WriteOutcome>, GroupError> {
        let (connection, path) = (self.connection.take(), Arc::clone(&self.path));
        let task = self.blocking.spawn_blocking(move || {
            let mut connection = match connection {
                Some(connection) => connection,
                None => match open::connect(&path) {
                    Ok(connection) => connection,
                    Err(error) => return (None, Err(GroupError::Away(error.to_string()))),
                },
            };
            let result = run_group(&mut connection, &writes);
            let lost = matches!(result, Err(GroupError::Away(_) | GroupError::Unknown(_)));
            ((!lost).then_some(connection), result)
        });
        match task.await {
            Ok((connection, result)) => {
                self.connection = connection;
                result
            }
            Err(error) if error.is_cancelled() => Err(GroupError::Away(error.to_string())),
            Err(error) => Err(GroupError::Unknown(error.to_string())),
        }
    }
}

fn run_group(
    connection: &mut SqliteConnection,
    writes: &[Write],
) -> Result<Vec<WriteOutcome>, GroupError> {
    // What failed first; a failing rollback would hide it.
    let mut failed = None;
    let mut all_applied = false;
    let result = connection.immediate_transaction(|connection| {
        let outcomes = writes.iter().map(|write| apply(connection, write));
        let outcomes = outcomes.collect::<QueryResult<Vec<_>>>();
        match outcomes {
            Ok(outcomes) => {
                all_applied = true;
                Ok(outcomes)
            }
            Err(error) => {
                failed = Some(group_error(&error));
                Err(error)
            }
        }
    });
    result.map_err(|error| match failed {
        Some(failed) => failed,
        None if all_applied => GroupError::Unknown(error.to_string()),
        None => group_error(&error),
    })
}

/// Stores one write, on its condition alone.
fn apply(connection: &mut SqliteConnection, write: &Write) -> QueryResult<WriteOutcome> {
    match write {
        Write::OpenTicket(ticket) => tickets::open(connection, ticket),
        Write::CloseTicket {
            ticket,
            outcome,
            at,
        } => tickets::close(connection, *ticket, *outcome, *at),
        Write::DiscardTicket { ticket, at } => tickets::discard(connection, *ticket, *at),
        Write::ReplaceTicket { old, new } => tickets::replace(connection, *old, new),
        Write::CountAsk { ticket, asks } => tickets::count_ask(connection, *ticket, *asks),
        Write::ProposeMatch(proposal) => matches::propose(connection, proposal),
        Write::ConfirmMatch { match_id, side } => matches::confirm(connection, *match_id, *side),
        Write::EndMatch {
            match_id,
            ending,
            tickets,
            confirmed,
            fates,
            opens,
            at,
        } => {
            let end = matches::End {
                match_id: *match_id,
                ending: *ending,
                tickets: *tickets,
                confirmed: *confirmed,
                fates,
                opens: opens.as_deref(),
                at: *at,
            };
            matches::end(connection, &end)
        }
        Write::OpenSession {
            session,
            tickets,
            event,
            confirms,
        } => matches::open_session(connection, session, *tickets, *event, *confirms),
        Write::LeaveSession { session, side, at } => {
            matches::leave_session(connection, *session, *side, *at)
        }
        Write::ExtendMatch {
            match_id,
            expires_at,
        } => matches::extend(connection, *match_id, *expires_at),
    }
}

/// What an error before the commit says; SQLite's own code does not come through diesel.
fn group_error(error: &DieselError) -> GroupError {
    let reason = error.to_string();
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, _) if is_busy(&reason) => {
            GroupError::Contended(reason)
        }
        DieselError::DatabaseError(
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation,
            _,
        )
        | DieselError::NotFound
        | DieselError::SerializationError(_)
        | DieselError::DeserializationError(_) => GroupError::Unfit(reason),
        _ => GroupError::Away(reason),
    }
}

/// Whether SQLite says that somebody else holds the lock.
fn is_busy(message: &str) -> bool {
    message.contains("is locked")
}

/// A value that cannot be written as the column wants it.
fn unwritable(error: serde_json::Error) -> DieselError {
    DieselError::SerializationError(Box::new(error))
}

#[cfg(test)]
pub(super) mod testing {
    use diesel::prelude::*;
    use diesel::sql_types::Text;
    use diesel_migrations::MigrationHarness;

    use super::MIGRATIONS;

    /// A fresh database in memory.
    pub(crate) fn migrated() -> SqliteConnection {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection.run_pending_migrations(MIGRATIONS).unwrap();
        connection
    }

    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    /// How SQLite would run what `debug_query` shows.
    pub(crate) fn plan(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
        let text = query.split(" -- binds").next().unwrap();
        let steps = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}"));
        let steps: Vec<Step> = steps.load(connection).unwrap();
        steps.into_iter().map(|step| step.detail).collect()
    }
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;

    use super::*;
    use domain::testing::{at_ms, match_id, session_id, ticket};
    use domain::{EventId, Proposal, Question, SessionRecord, Side};

    #[test]
    fn a_lock_that_somebody_else_holds_is_worth_another_try() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.db");
        let path = path.to_str().unwrap();
        let mut ours = open::prepare(path).unwrap();
        let mut theirs = open::connect(path).unwrap();

        let while_locked = theirs
            .immediate_transaction(|_| {
                QueryResult::Ok(run_group(&mut ours, &[Write::OpenTicket(ticket(1))]))
            })
            .unwrap();
        let afterwards = run_group(&mut ours, &[Write::OpenTicket(ticket(1))]);

        assert!(
            matches!(while_locked, Err(GroupError::Contended(_))),
            "{while_locked:?}"
        );
        assert_eq!(afterwards, Ok(vec![WriteOutcome::Stored]));
    }

    /// From two tickets to their session.
    fn lifecycle(number: u64, event: u128) -> [Write; 6] {
        let both = [ticket(2 * number), ticket(2 * number + 1)];
        let tickets = both.each_ref().map(|ticket| ticket.id);
        let users = both.each_ref().map(|ticket| ticket.user.clone());
        let proposal = Proposal {
            id: match_id(number),
            session: session_id(number),
            bucket: both[0].wish.bucket(),
            tickets,
            users: users.clone(),
            proposed_at: at_ms(5),
            expires_at: at_ms(9),
        };
        let session = SessionRecord {
            id: session_id(number),
            match_id: match_id(number),
            users,
            question: Question {
                id: 1,
                title: "Two Sum".into(),
                difficulty: "easy".into(),
                topics: Vec::new(),
            },
            opened_at: at_ms(6),
            ends_at: at_ms(7),
            left: [false, false],
        };
        let confirm = |side| Write::ConfirmMatch {
            match_id: match_id(number),
            side,
        };
        let [first, second] = both.map(Write::OpenTicket);
        let open = Write::OpenSession {
            session,
            tickets,
            event: EventId(uuid::Uuid::from_u128(event)),
            confirms: None,
        };
        let [one, other] = Side::BOTH.map(confirm);
        [
            first,
            second,
            Write::ProposeMatch(proposal),
            one,
            other,
            open,
        ]
    }

    #[test]
    fn a_write_that_breaks_a_constraint_fails_its_group_and_leaves_nothing_of_it() {
        let mut connection = testing::migrated();
        let stored = run_group(&mut connection, &lifecycle(1, 7));
        assert_eq!(stored, Ok(vec![WriteOutcome::Stored; 6]));

        let same_event = run_group(&mut connection, &lifecycle(2, 7));
        let other_event = run_group(&mut connection, &lifecycle(2, 8));

        assert!(
            matches!(same_event, Err(GroupError::Unfit(_))),
            "{same_event:?}"
        );
        assert_eq!(other_event, Ok(vec![WriteOutcome::Stored; 6]));
    }

    #[test]
    fn a_store_that_cannot_write_is_away() {
        let mut no_tables = SqliteConnection::establish(":memory:").unwrap();

        let away = run_group(&mut no_tables, &[Write::OpenTicket(ticket(1))]);

        assert!(matches!(away, Err(GroupError::Away(_))), "{away:?}");
    }

    #[tokio::test]
    async fn a_full_disk_loses_nothing_and_writes_go_on_when_there_is_room_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.db");
        let path: Arc<str> = path.to_str().unwrap().into();
        let mut connection = open::prepare(&path).unwrap();
        // Holds for this connection only, as if there were room again when the next one is opened.
        connection
            .batch_execute("PRAGMA max_page_count = 40")
            .unwrap();
        let mut groups = SqliteGroups {
            path: Arc::clone(&path),
            connection: Some(connection),
            blocking: Handle::current(),
        };
        let few: Arc<[Write]> = (1..=3).map(|n| Write::OpenTicket(ticket(n))).collect();
        let many: Arc<[Write]> = (4..2_000).map(|n| Write::OpenTicket(ticket(n))).collect();

        let stored = groups.run(few).await;
        let full = groups.run(Arc::clone(&many)).await;
        let left = tickets_in(&path);
        let again = groups.run(many).await;

        assert_eq!(stored, Ok(vec![WriteOutcome::Stored; 3]));
        assert!(matches!(full, Err(GroupError::Away(_))), "{full:?}");
        assert_eq!(left, 3);
        assert_eq!(again, Ok(vec![WriteOutcome::Stored; 1_996]));
        assert_eq!(tickets_in(&path), 1_999);
    }

    fn tickets_in(path: &str) -> i64 {
        let mut connection = open::connect(path).unwrap();
        let tickets = crate::schema::tickets::table;
        tickets.count().get_result(&mut connection).unwrap()
    }
}
