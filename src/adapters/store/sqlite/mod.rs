//! The store on one SQLite file: one writer, one immediate transaction per group.

mod matches;
mod open;
mod tickets;

use std::sync::Arc;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{QueryResult, SqliteConnection};
use tokio::runtime::Handle;

use super::writer::{GroupError, GroupStore};
use crate::domain::{Write, WriteOutcome};

pub(super) use open::READER_SETTINGS;
pub use open::{MIGRATIONS, SqliteOptions, SqliteStore, StoreOpenError};

/// The one connection that writes.
pub(super) struct SqliteGroups {
    path: Arc<str>,
    /// None after an error that the connection may not have survived.
    connection: Option<SqliteConnection>,
    handle: Handle,
}

impl GroupStore for SqliteGroups {
    async fn run(&mut self, writes: Arc<[Write]>) -> Result<Vec<WriteOutcome>, GroupError> {
        let (connection, path) = (self.connection.take(), Arc::clone(&self.path));
        let task = self.handle.spawn_blocking(move || {
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
        Write::ReplaceTicket { old, new } => tickets::replace(connection, *old, new),
        Write::CountAsk { ticket, asks } => tickets::count_ask(connection, *ticket, *asks),
        Write::ProposeMatch(proposal) => matches::propose(connection, proposal),
        Write::ConfirmMatch { match_id, side } => matches::confirm(connection, *match_id, *side),
        Write::EndMatch {
            match_id,
            ending,
            tickets,
            fates,
            opens,
            at,
        } => {
            let end = matches::End {
                match_id: *match_id,
                ending: *ending,
                tickets: *tickets,
                fates,
                opens: opens.as_ref(),
                at: *at,
            };
            matches::end(connection, &end)
        }
        Write::OpenSession {
            session,
            tickets,
            event,
        } => matches::open_session(connection, session, *tickets, *event),
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
