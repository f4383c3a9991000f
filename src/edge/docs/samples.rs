//! The examples of the document. Answers are made by the code that makes real ones.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::wire::{
    About, ActiveSession, Declined, Health, Liveness, MatchStatus, Readiness, RequestCreated,
    RequestStatus, SessionLeft, SessionReady, Token, WaitingForPartner, Withdrawn, frame,
    session_text,
};
use domain::limits::Timeouts;
use domain::{
    Difficulty, ExpiryReason, MatchId, Notice, Question, SessionId, SessionRecord, Side, Ticket,
    TicketId, TicketOutcome, Timestamp, Topic, UserId, Wish,
};
use observability::Needed;
use ports::StoredStatus;
use ports::announcement;

const APP_NAME: &str = "peerprep-matching-service";
const NOW: Timestamp = Timestamp::from_ms(1_762_756_823_000);
pub(super) const TICKET: TicketId =
    TicketId(Uuid::from_u128(0x019a_6c7e_87d8_7b42_9d3e_52f1_08c6_a7e4));
const MATCH: MatchId = MatchId(Uuid::from_u128(0x5b1f_0c9e_3a77_4d28_8f64_e1d2_90b3_7c15));
const SESSION: SessionId = SessionId(Uuid::from_u128(0xc2a4_7d30_96e8_4f1b_a0d5_3e8b_7f29_1c64));

fn user(id: &str) -> UserId {
    UserId::parse(id).expect("it is short and plain")
}

fn wish() -> Wish {
    Wish {
        difficulty: Difficulty::Easy,
        topic: Topic::parse("Hash Table").expect("it is short and plain"),
    }
}

fn ticket() -> Ticket {
    Ticket::new(TICKET, user("user-123"), wish(), NOW, Timeouts::default())
}

fn session() -> SessionRecord {
    let timeouts = Timeouts::default();
    SessionRecord {
        id: SESSION,
        match_id: MATCH,
        users: [user("user-123"), user("user-456")],
        question: Question {
            id: 17,
            title: "Two Sum".to_owned(),
            difficulty: Difficulty::Easy.as_lower_case().to_owned(),
            topics: vec!["Array".to_owned(), "Hash Table".to_owned()],
        },
        opened_at: NOW,
        ends_at: NOW.plus_ms(timeouts.session_ttl_ms),
        left: [false, false],
    }
}

/// Asks for what [`request_created`] answers.
pub fn ask() -> Value {
    let wish = wish();
    json!({ "difficulty": wish.difficulty.as_str(), "topic": wish.topic.as_str() })
}

/// Confirms the match of the other examples.
pub fn confirm() -> Value {
    json!({ "match_id": MATCH.0, "confirmed": true })
}

/// Leaves the session of the other examples.
pub fn leave() -> Value {
    json!({ "session_id": SESSION.0 })
}

/// Asks for a token of the user of the other examples.
pub fn token_body() -> Value {
    json!({ "user_id": ticket().user.as_str() })
}

/// A token of nobody: its signature fits no secret.
pub fn token() -> Value {
    let token = [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJzdWIiOiJ1c2VyLTEyMyJ9",
        "c2lnbmF0dXJl",
    ]
    .join(".");
    json!(Token { token })
}

/// A ticket that waits.
pub fn request_created() -> Value {
    json!(RequestCreated::new(&ticket(), false))
}

/// A ticket whose user asks again while the match is open.
pub fn request_matched() -> Value {
    json!(RequestCreated::new(&ticket(), true))
}

/// A ticket that waits.
pub fn pending() -> Value {
    json!(RequestStatus::live(None))
}

/// A ticket in a match.
pub fn matched() -> Value {
    json!(RequestStatus::live(Some(MATCH)))
}

/// A ticket whose time is over.
pub fn timed_out() -> Value {
    closed(TicketOutcome::Expired)
}

/// A ticket that its user withdrew.
pub fn cancelled() -> Value {
    closed(TicketOutcome::Withdrawn)
}

fn closed(outcome: TicketOutcome) -> Value {
    json!(RequestStatus::stored(StoredStatus::Closed(outcome)))
}

/// The answer to a withdrawal.
pub fn withdrawn() -> Value {
    json!(Withdrawn::MESSAGE)
}

/// The answer to the first confirmation.
pub fn waiting_for_partner() -> Value {
    json!(WaitingForPartner::new(MATCH))
}

/// The answer to the second confirmation.
pub fn session_ready() -> Value {
    json!(SessionReady::new(&session(), Side::First))
}

/// The answer to a decline.
pub fn declined() -> Value {
    json!(Declined::new(MATCH))
}

/// A match that both have confirmed.
pub fn match_in_session() -> Value {
    json!(MatchStatus::new(Some(SESSION.0)))
}

/// A match that is still open.
pub fn match_not_in_session() -> Value {
    json!(MatchStatus::new(None))
}

/// The answer to whoever leaves a session.
pub fn left() -> Value {
    json!(SessionLeft::LEFT)
}

/// The answer to whoever leaves a session that is not known.
pub fn left_unknown() -> Value {
    json!(SessionLeft::UNKNOWN)
}

/// What this is.
pub fn about() -> Value {
    json!(About::new(APP_NAME))
}

/// A server that answers.
pub fn health() -> Value {
    json!(Health::new(APP_NAME, "production", 8002))
}

/// A process that answers.
pub fn alive() -> Value {
    json!(Liveness::ALIVE)
}

/// A server that takes work.
pub fn ready() -> Value {
    json!(Readiness::new(&[]))
}

/// A server that takes work and waits for another one.
pub fn ready_without() -> Value {
    json!(Readiness::new(&[Needed::Redis]))
}

/// A session as a member sees it.
pub fn active_session() -> Value {
    json!(ActiveSession::new(&session(), Side::First))
}

/// A partner is found, as the user of the other examples is told.
pub fn match_found() -> Value {
    told(&Notice::MatchFound {
        match_id: MATCH,
        partner: user("user-456"),
        wish: wish(),
        expires_at: NOW.plus_ms(Timeouts::default().confirm_window_ms),
    })
}

/// A session can be read.
pub fn match_ready() -> Value {
    let session = session();
    told(&Notice::MatchReady {
        match_id: MATCH,
        session: SESSION,
        question_id: session.question.id,
        partner: user("user-456"),
    })
}

/// A match ended, for each reason that there is.
pub fn expired() -> [Value; 3] {
    [
        ExpiryReason::ConfirmationTimeout,
        ExpiryReason::PartnerDeclined,
        ExpiryReason::QuestionUnavailable,
    ]
    .map(|reason| {
        told(&Notice::MatchExpired {
            match_id: MATCH,
            reason,
            requeued: true,
        })
    })
}

/// A ticket waited in vain.
pub fn request_timeout() -> Value {
    told(&Notice::TicketExpired { ticket: TICKET })
}

/// The partner left.
pub fn partner_left() -> Value {
    told(&Notice::PartnerLeft {
        session: SESSION,
        user: user("user-456"),
    })
}

fn told(notice: &Notice) -> Value {
    let text = frame(notice);
    text.and_then(|text| serde_json::from_str(&text))
        .unwrap_or_default()
}

/// The body that announces the session of the other examples.
pub fn announced() -> Value {
    let text = announcement::match_found(&session());
    text.and_then(|text| serde_json::from_str(&text))
        .unwrap_or_default()
}

/// A session as the shared store has it at its beginning.
pub fn shared_session() -> Value {
    let text = session_text(None, &session());
    text.and_then(|text| serde_json::from_str(&text))
        .unwrap_or_default()
}
