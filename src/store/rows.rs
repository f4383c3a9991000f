//! Rows of the tables, and what they mean; shared by both backends.

use diesel::pg::Pg;
use diesel::prelude::{Insertable, Queryable, Selectable};
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Serialize};

use crate::schema::{Id, matches, outbox, sessions, tickets};
use domain::{
    Avoided, Difficulty, Ending, EventId, MatchId, Proposal, Question, SessionRecord, Side, Ticket,
    TicketId, TicketOutcome, Timestamp, Topic, UserId, Wish,
};
use ports::announcement;

/// The ticket waits.
pub(super) const WAITING: &str = "waiting";
/// The ticket is in an open match.
pub(super) const MATCHED: &str = "matched";
/// The ticket's match, or the match, became a session.
pub(super) const IN_SESSION: &str = "in_session";
/// The match is neither ended nor a session.
pub(super) const OPEN: &str = "open";

/// What stands in a row is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of {table} holds something unreadable: {fault}")]
pub(super) struct UnreadableRow {
    pub(super) table: &'static str,
    pub(super) fault: String,
}

/// A row of `tickets`.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = tickets, check_for_backend(Pg, Sqlite))]
pub(super) struct TicketRow {
    pub(super) id: Id,
    pub(super) user_id: String,
    pub(super) difficulty: String,
    pub(super) topic: String,
    pub(super) topic_key: String,
    pub(super) status: String,
    pub(super) match_id: Option<Id>,
    pub(super) enqueued_at_ms: i64,
    pub(super) waits_until_ms: i64,
    pub(super) put_back: bool,
    pub(super) silences: i16,
    pub(super) asks: i64,
    pub(super) avoided: String,
    pub(super) ended_at_ms: Option<i64>,
}

impl TicketRow {
    /// The row of a ticket that begins to wait.
    pub(super) fn waiting(ticket: &Ticket) -> serde_json::Result<Self> {
        Ok(Self {
            id: ticket.id.into(),
            user_id: ticket.user.to_string(),
            difficulty: ticket.wish.difficulty.as_lower_case().to_owned(),
            topic: ticket.wish.topic.as_str().to_owned(),
            topic_key: ticket.wish.topic.key().as_str().to_owned(),
            status: WAITING.to_owned(),
            match_id: None,
            enqueued_at_ms: ticket.enqueued_at.as_ms(),
            waits_until_ms: ticket.waits_until.as_ms(),
            put_back: ticket.put_back,
            silences: ticket.silences.into(),
            asks: ticket.asks.into(),
            avoided: avoided_text(&ticket.avoided)?,
            ended_at_ms: None,
        })
    }
}

/// What start-up reads of a live ticket; there may be very many.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = tickets, check_for_backend(Pg, Sqlite))]
pub(super) struct LiveTicketRow {
    id: Id,
    user_id: String,
    difficulty: String,
    topic: String,
    /// Set exactly where the ticket is matched.
    match_id: Option<Id>,
    enqueued_at_ms: i64,
    waits_until_ms: i64,
    put_back: bool,
    silences: i16,
    asks: i64,
    avoided: String,
}

impl LiveTicketRow {
    /// The ticket with the match that it is in; the row's id where it cannot be read.
    pub(super) fn into_ticket(self) -> Result<(Ticket, Option<MatchId>), Id> {
        let match_id = self.match_id.map(MatchId::from);
        self.ticket()
            .map(|ticket| (ticket, match_id))
            .ok_or(self.id)
    }

    fn ticket(&self) -> Option<Ticket> {
        Some(Ticket {
            id: self.id.into(),
            user: UserId::parse(&self.user_id).ok()?,
            wish: Wish {
                difficulty: Difficulty::parse(&self.difficulty).ok()?,
                topic: Topic::parse(&self.topic).ok()?,
            },
            enqueued_at: Timestamp::from_ms(self.enqueued_at_ms),
            waits_until: Timestamp::from_ms(self.waits_until_ms),
            put_back: self.put_back,
            silences: self.silences.try_into().ok()?,
            asks: self.asks.try_into().ok()?,
            avoided: avoided_from(&self.avoided)?,
        })
    }
}

/// The word for how a ticket ended.
pub(super) fn ended_status(outcome: TicketOutcome) -> &'static str {
    match outcome {
        TicketOutcome::Withdrawn => "withdrawn",
        TicketOutcome::Declined => "declined",
        TicketOutcome::Replaced => "replaced",
        TicketOutcome::Expired => "expired",
        TicketOutcome::Refused => "refused",
        TicketOutcome::InSession => IN_SESSION,
    }
}

/// How a ticket ended that neither waits nor is or was in a match.
pub(super) fn outcome_of(status: &str) -> Option<TicketOutcome> {
    [
        TicketOutcome::Withdrawn,
        TicketOutcome::Declined,
        TicketOutcome::Replaced,
        TicketOutcome::Expired,
        TicketOutcome::Refused,
    ]
    .into_iter()
    .find(|outcome| ended_status(*outcome) == status)
}

/// An [`Avoided`] as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AvoidedDocument {
    Decliner(String),
    Silence {
        user: String,
        own_asks: u32,
        theirs: Option<(uuid::Uuid, u32)>,
    },
}

pub(super) fn avoided_text(avoided: &[Avoided]) -> serde_json::Result<String> {
    let document = |avoided: &Avoided| match avoided {
        Avoided::Decliner(user) => AvoidedDocument::Decliner(user.to_string()),
        Avoided::Silence {
            user,
            own_asks,
            theirs,
        } => AvoidedDocument::Silence {
            user: user.to_string(),
            own_asks: *own_asks,
            theirs: theirs.map(|(ticket, asks)| (ticket.0, asks)),
        },
    };
    serde_json::to_string(&avoided.iter().map(document).collect::<Vec<_>>())
}

fn avoided_from(text: &str) -> Option<Vec<Avoided>> {
    // Nearly all tickets avoid nobody, and start-up reads very many.
    if text == "[]" {
        return Some(Vec::new());
    }
    let documents: Vec<AvoidedDocument> = serde_json::from_str(text).ok()?;
    let avoided = |document| match document {
        AvoidedDocument::Decliner(user) => Some(Avoided::Decliner(UserId::parse(&user).ok()?)),
        AvoidedDocument::Silence {
            user,
            own_asks,
            theirs,
        } => Some(Avoided::Silence {
            user: UserId::parse(&user).ok()?,
            own_asks,
            theirs: theirs.map(|(ticket, asks)| (TicketId(ticket), asks)),
        }),
    };
    documents.into_iter().map(avoided).collect()
}

/// A row of `matches`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = matches, check_for_backend(Pg, Sqlite))]
pub(super) struct MatchRow {
    pub(super) id: Id,
    pub(super) session_id: Id,
    pub(super) first_ticket: Id,
    pub(super) second_ticket: Id,
    pub(super) first_user: String,
    pub(super) second_user: String,
    pub(super) difficulty: String,
    pub(super) topic_key: String,
    pub(super) state: String,
    pub(super) confirmed_first: bool,
    pub(super) confirmed_second: bool,
    pub(super) proposed_at_ms: i64,
    pub(super) expires_at_ms: i64,
    pub(super) extended: bool,
    pub(super) ended_at_ms: Option<i64>,
}

impl MatchRow {
    /// The row of a match that nobody has answered.
    pub(super) fn proposed(proposal: &Proposal) -> Self {
        let [first_ticket, second_ticket] = proposal.tickets.map(Id::from);
        let [first_user, second_user] = proposal.users.each_ref().map(ToString::to_string);
        Self {
            id: proposal.id.into(),
            session_id: proposal.session.into(),
            first_ticket,
            second_ticket,
            first_user,
            second_user,
            difficulty: proposal.bucket.difficulty.as_lower_case().to_owned(),
            topic_key: proposal.bucket.topic.as_str().to_owned(),
            state: OPEN.to_owned(),
            confirmed_first: false,
            confirmed_second: false,
            proposed_at_ms: proposal.proposed_at.as_ms(),
            expires_at_ms: proposal.expires_at.as_ms(),
            extended: false,
            ended_at_ms: None,
        }
    }

    pub(super) fn tickets(&self) -> [TicketId; 2] {
        [self.first_ticket.into(), self.second_ticket.into()]
    }

    /// Which of the two have confirmed.
    pub(super) fn confirmed(&self) -> [bool; 2] {
        [self.confirmed_first, self.confirmed_second]
    }

    pub(super) fn users(&self) -> Result<[UserId; 2], UnreadableRow> {
        users("matches", &self.first_user, &self.second_user)
    }

    /// Whether it is the match of these two tickets and users.
    pub(super) fn is_of(&self, tickets: [TicketId; 2], users: &[UserId; 2]) -> bool {
        self.tickets() == tickets
            && self.first_user == users[0].as_str()
            && self.second_user == users[1].as_str()
    }
}

/// The word for how a match ended.
pub(super) fn ended_state(ending: Ending) -> &'static str {
    match ending {
        Ending::Declined(Side::First) => "declined_first",
        Ending::Declined(Side::Second) => "declined_second",
        Ending::Expired => "expired",
        Ending::QuestionUnavailable => "question_unavailable",
    }
}

/// How a match ended that is neither open nor a session.
pub(super) fn ending_of(state: &str) -> Option<Ending> {
    [
        Ending::Declined(Side::First),
        Ending::Declined(Side::Second),
        Ending::Expired,
        Ending::QuestionUnavailable,
    ]
    .into_iter()
    .find(|ending| ended_state(*ending) == state)
}

/// A row of `sessions`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, check_for_backend(Pg, Sqlite))]
pub(super) struct SessionRow {
    pub(super) id: Id,
    pub(super) match_id: Id,
    pub(super) first_user: String,
    pub(super) second_user: String,
    pub(super) question_id: i64,
    pub(super) question_title: String,
    pub(super) question_difficulty: String,
    pub(super) question_topics: String,
    pub(super) opened_at_ms: i64,
    pub(super) ends_at_ms: i64,
    pub(super) left_first_ms: Option<i64>,
    pub(super) left_second_ms: Option<i64>,
}

impl SessionRow {
    /// The row of a session that nobody has left.
    pub(super) fn opened(session: &SessionRecord) -> serde_json::Result<Self> {
        let [first_user, second_user] = session.users.each_ref().map(ToString::to_string);
        Ok(Self {
            id: session.id.into(),
            match_id: session.match_id.into(),
            first_user,
            second_user,
            question_id: session.question.id,
            question_title: session.question.title.clone(),
            question_difficulty: session.question.difficulty.clone(),
            question_topics: serde_json::to_string(&session.question.topics)?,
            opened_at_ms: session.opened_at.as_ms(),
            ends_at_ms: session.ends_at.as_ms(),
            left_first_ms: None,
            left_second_ms: None,
        })
    }

    pub(super) fn record(&self) -> Result<SessionRecord, UnreadableRow> {
        let unreadable = |fault: String| UnreadableRow {
            table: "sessions",
            fault,
        };
        Ok(SessionRecord {
            id: self.id.into(),
            match_id: self.match_id.into(),
            users: users("sessions", &self.first_user, &self.second_user)?,
            question: Question {
                id: self.question_id,
                title: self.question_title.clone(),
                difficulty: self.question_difficulty.clone(),
                topics: serde_json::from_str(&self.question_topics)
                    .map_err(|fault| unreadable(fault.to_string()))?,
            },
            opened_at: Timestamp::from_ms(self.opened_at_ms),
            ends_at: Timestamp::from_ms(self.ends_at_ms),
            left: [self.left_first_ms.is_some(), self.left_second_ms.is_some()],
        })
    }
}

fn users(table: &'static str, first: &str, second: &str) -> Result<[UserId; 2], UnreadableRow> {
    let parse = |text: &str| {
        UserId::parse(text).map_err(|fault| UnreadableRow {
            table,
            fault: fault.to_string(),
        })
    };
    Ok([parse(first)?, parse(second)?])
}

/// A row of `outbox` that is to be written; the database numbers it.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = outbox, check_for_backend(Pg, Sqlite))]
pub(super) struct NewOutboxRow {
    pub(super) event_id: Id,
    pub(super) session_id: Id,
    pub(super) routing_key: &'static str,
    pub(super) body: String,
    pub(super) created_at_ms: i64,
    pub(super) attempts: i64,
    pub(super) next_try_at_ms: i64,
}

impl NewOutboxRow {
    /// The announcement of a session, due at once.
    pub(super) fn announcing(session: &SessionRecord, event: EventId) -> serde_json::Result<Self> {
        Ok(Self {
            event_id: event.into(),
            session_id: session.id.into(),
            routing_key: announcement::MATCH_FOUND,
            body: announcement::match_found(session)?,
            created_at_ms: session.opened_at.as_ms(),
            attempts: 0,
            next_try_at_ms: session.opened_at.as_ms(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{ticket, user};

    fn live_row(ticket: &Ticket) -> LiveTicketRow {
        let row = TicketRow::waiting(ticket).unwrap();
        LiveTicketRow {
            id: row.id,
            user_id: row.user_id,
            difficulty: row.difficulty,
            topic: row.topic,
            match_id: row.match_id,
            enqueued_at_ms: row.enqueued_at_ms,
            waits_until_ms: row.waits_until_ms,
            put_back: row.put_back,
            silences: row.silences,
            asks: row.asks,
            avoided: row.avoided,
        }
    }

    #[test]
    fn a_ticket_comes_back_from_its_row_as_it_went_in() {
        let mut stored = ticket(7);
        stored.put_back = true;
        stored.silences = u8::MAX;
        stored.asks = u32::MAX;
        stored.avoided = vec![
            Avoided::Decliner(user(3)),
            Avoided::Silence {
                user: user(4),
                own_asks: 2,
                theirs: None,
            },
        ];

        let row = live_row(&stored);

        assert_eq!(
            row.avoided,
            r#"[{"decliner":"user-3"},{"silence":{"user":"user-4","own_asks":2,"theirs":null}}]"#
        );
        assert_eq!(row.into_ticket(), Ok((stored, None)));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_known_by_its_id() {
        let mut row = live_row(&ticket(1));
        row.difficulty = "brutal".to_owned();

        assert_eq!(row.into_ticket(), Err(ticket(1).id.into()));
    }

    #[test]
    fn every_ending_is_read_back_from_its_word() {
        for ending in [
            Ending::Declined(Side::First),
            Ending::Declined(Side::Second),
            Ending::Expired,
            Ending::QuestionUnavailable,
        ] {
            assert_eq!(ending_of(ended_state(ending)), Some(ending));
        }
        assert_eq!(ending_of(OPEN), None);
        assert_eq!(outcome_of("replaced"), Some(TicketOutcome::Replaced));
        assert_eq!(outcome_of(IN_SESSION), None);
    }
}
