//! The tables, as diesel sees them: one text for both backends.
//!
//! A test compares it with freshly migrated columns. Times are milliseconds since the Unix epoch,
//! states are short words, lists are JSON.

use std::io::Write;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sqlite::{Sqlite, SqliteValue};
use uuid::Uuid;

use domain::{EventId, MatchId, SessionId, TicketId};

/// SQL types that the backends spell differently.
pub mod sql_types {
    /// An id: `uuid` on PostgreSQL, 16 bytes on SQLite.
    #[derive(Debug, Clone, Copy, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(
        postgres_type(oid = 2950, array_oid = 2951),
        sqlite_type(name = "Binary")
    )]
    pub struct Id;

    impl diesel::sql_types::SqlOrd for Id {}
}

/// Any of our ids, as a column holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Id)]
pub struct Id(pub Uuid);

impl ToSql<sql_types::Id, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(&self.0.as_bytes()[..]);
        Ok(IsNull::No)
    }
}

impl ToSql<sql_types::Id, Pg> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::Id, Pg> for Id {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.as_bytes())?))
    }
}

impl FromSql<sql_types::Id, Sqlite> for Id {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.read_blob())?))
    }
}

macro_rules! id_column {
    ($($name:ident),+) => { $(
        impl From<$name> for Id {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }

        impl From<Id> for $name {
            fn from(id: Id) -> Self {
                Self(id.0)
            }
        }
    )+ };
}

id_column!(TicketId, MatchId, SessionId, EventId);

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text};
    use super::sql_types::Id;

    /// Tickets, ended ones included.
    tickets (id) {
        /// Version 7, in the roster's order.
        id -> Id,
        /// Whose.
        user_id -> Text,
        /// Lower case.
        difficulty -> Text,
        /// As its user spelt it.
        topic -> Text,
        /// By which topics meet.
        topic_key -> Text,
        /// waiting, matched, in_session, withdrawn, declined, replaced, expired or refused.
        status -> Text,
        /// Set exactly while matched or in_session.
        match_id -> Nullable<Id>,
        /// The place, with the id.
        enqueued_at_ms -> BigInt,
        /// When its wait is over.
        waits_until_ms -> BigInt,
        /// Whether an ended match put it back.
        put_back -> Bool,
        /// Proposals in a row that its user did not answer.
        silences -> SmallInt,
        /// How often its user has asked for it again.
        asks -> BigInt,
        /// Whom it must not meet again, oldest first.
        avoided -> Text,
        /// Null exactly while waiting or matched.
        ended_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, Text};
    use super::sql_types::Id;

    /// Matches, ended ones included.
    matches (id) {
        /// Its id.
        id -> Id,
        /// The session that it opens.
        session_id -> Id,
        /// The older ticket.
        first_ticket -> Id,
        /// The younger ticket.
        second_ticket -> Id,
        /// The older ticket's user.
        first_user -> Text,
        /// The younger ticket's user.
        second_user -> Text,
        /// Lower case.
        difficulty -> Text,
        /// By which their topics met.
        topic_key -> Text,
        /// open, in_session, declined_first, declined_second, expired or question_unavailable.
        state -> Text,
        /// Whether the older ticket's user confirmed.
        confirmed_first -> Bool,
        /// Whether the younger ticket's user confirmed.
        confirmed_second -> Bool,
        /// When it was proposed.
        proposed_at_ms -> BigInt,
        /// When the confirmation window is over.
        expires_at_ms -> BigInt,
        /// Whether that end was put off after the server had been down.
        extended -> Bool,
        /// Null exactly while open.
        ended_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use super::sql_types::Id;

    /// Sessions, ended ones included.
    sessions (id) {
        /// Its id, chosen with the match.
        id -> Id,
        /// The match that opened it.
        match_id -> Id,
        /// The older ticket's user.
        first_user -> Text,
        /// The younger ticket's user.
        second_user -> Text,
        /// The question service's id.
        question_id -> BigInt,
        /// The question's title.
        question_title -> Text,
        /// The question's difficulty, lower case.
        question_difficulty -> Text,
        /// The question's topics.
        question_topics -> Text,
        /// When it began.
        opened_at_ms -> BigInt,
        /// When it ends at the latest.
        ends_at_ms -> BigInt,
        /// When the older ticket's user left.
        left_first_ms -> Nullable<BigInt>,
        /// When the younger ticket's user left.
        left_second_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use super::sql_types::Id;

    /// Announcements, written with the facts that they announce.
    outbox (sequence) {
        /// In the order of the commits.
        sequence -> BigInt,
        /// Stable across redelivery.
        event_id -> Id,
        /// Which session it is about.
        session_id -> Id,
        /// Where the broker routes it.
        routing_key -> Text,
        /// The exact body.
        body -> Text,
        /// When it was written.
        created_at_ms -> BigInt,
        /// When the broker confirmed it.
        sent_at_ms -> Nullable<BigInt>,
        /// How often it was tried.
        attempts -> BigInt,
        /// When it is tried next.
        next_try_at_ms -> BigInt,
    }
}

diesel::joinable!(sessions -> matches (match_id));
diesel::joinable!(outbox -> sessions (session_id));
diesel::allow_tables_to_appear_in_same_query!(tickets, matches, sessions, outbox);
