//! What operators are told of a ticket, in words.

use crate::wire::rfc3339_ms;
use actors::decisions::Decision;
use actors::messages::Explained;
use domain::bucket::{HeldFor, LOOKED_AT_MAX, Standing};
use domain::{TicketOutcome, Timestamp};
use ports::{PastMatch, StoredPast};

/// What is being written about a ticket that is held, as a word.
pub(super) fn held_word(held: HeldFor) -> &'static str {
    match held {
        HeldFor::Opening => "opening",
        HeldFor::Proposal(_) => "proposal",
        HeldFor::Closing(_) => "closing",
        HeldFor::Counting => "counting",
        HeldFor::Replacing(_) => "replacing",
    }
}

/// Why a ticket stands as it does, in one sentence.
pub(super) fn why(past: &StoredPast, explained: Option<Explained>) -> String {
    let standing = explained.map(|explained| explained.standing);
    let no_permits = explained.is_some_and(|explained| explained.awaits_permit);
    let newest = past.matches.last();
    match (past.status.as_str(), standing, newest) {
        ("waiting", Some(Standing::Waits { others: 0, .. }), _) => {
            "Nobody else waits in its bucket.".to_owned()
        }
        (
            "waiting",
            Some(Standing::Waits {
                others,
                has_partner: false,
                ..
            }),
            _,
        ) => why_nobody_fits(others),
        ("waiting", Some(Standing::Waits { pairs_again_at, .. }), _) => {
            why_not_yet(pairs_again_at, no_permits)
        }
        ("waiting", Some(Standing::Held(held)), _) => why_held(held),
        ("waiting", None, _) => {
            "It waits, but in no bucket of this server: it has just moved, or another server has it."
                .to_owned()
        }
        ("matched", _, Some(of)) => why_matched(of),
        ("in_session", _, Some(of)) => why_in_session(of),
        ("withdrawn", ..) => "Its user cancelled it, or never heard of it.".to_owned(),
        ("declined", ..) => "Its user declined the proposal.".to_owned(),
        ("replaced", ..) => "Its user asked for another bucket.".to_owned(),
        ("expired", ..) => {
            "Its time was over, or its user did not answer two proposals in a row.".to_owned()
        }
        ("refused", ..) => "The database did not know it as live any more.".to_owned(),
        (status, ..) => format!("It is {status}; the match is not stored any more."),
    }
}

fn why_nobody_fits(others: usize) -> String {
    let who = match others {
        1 => "the only other one".to_owned(),
        LOOKED_AT_MAX.. => format!("any of the {LOOKED_AT_MAX} oldest of the {others} others"),
        _ => format!("any of the {others} others"),
    };
    format!("It may not meet {who} in its bucket, because of declines and silences.")
}

fn why_not_yet(pairs_again_at: Option<Timestamp>, no_permits: bool) -> String {
    match pairs_again_at {
        Some(at) => format!(
            "The database could not take the last proposal of its bucket; the next one is made at {}.",
            rfc3339_ms(at)
        ),
        None if no_permits => {
            "There are as many unconfirmed matches as MAX_CONCURRENT_MATCHES allows.".to_owned()
        }
        None => "It is about to be paired.".to_owned(),
    }
}

fn why_held(held: HeldFor) -> String {
    match held {
        HeldFor::Opening => "Its opening is being stored.".to_owned(),
        HeldFor::Proposal(id) => format!("Its match {} is being stored.", id.0),
        HeldFor::Closing(outcome) => format!("Its end is being stored: {}.", ended(outcome)),
        HeldFor::Counting => "Its user asked for it again, which is being stored.".to_owned(),
        HeldFor::Replacing(ticket) => {
            format!(
                "Ticket {}, which takes its place, is being stored.",
                ticket.0
            )
        }
    }
}

fn why_matched(of: &PastMatch) -> String {
    let until = rfc3339_ms(of.expires_at);
    match of.confirmed {
        [true, true] => {
            "Both confirmed; a question or the shared session is awaited, or being stored."
                .to_owned()
        }
        [true, false] => format!("Its user confirmed; the partner has until {until}."),
        [false, true] => format!("The partner confirmed; its user has until {until}."),
        [false, false] => format!("Nobody has confirmed its match yet; both have until {until}."),
    }
}

fn why_in_session(of: &PastMatch) -> String {
    let Some(session) = &of.session else {
        return "Its match became a session that is not stored any more.".to_owned();
    };
    match session.left_at {
        [Some(_), Some(_)] => "Its session is over: both left.".to_owned(),
        [Some(_), None] => "Its user has left the session; the partner has not.".to_owned(),
        [None, Some(_)] => "Its user is in the session; the partner has left.".to_owned(),
        [None, None] => format!(
            "It led to a session, which ends at {} at the latest.",
            rfc3339_ms(session.ends_at)
        ),
    }
}

/// A decision as a word and a sentence.
pub(super) fn decided(what: Decision) -> (&'static str, String) {
    match what {
        Decision::Waits => ("waits", "It may be paired from now on.".to_owned()),
        Decision::Proposed(_) => ("proposed", "It was set aside for this match.".to_owned()),
        Decision::ProposalFailed(_) => (
            "proposal_failed",
            "The database did not take this match.".to_owned(),
        ),
        Decision::Matched(_) => ("matched", "The match is stored; both are told.".to_owned()),
        Decision::Confirmed(_) => ("confirmed", "Its user confirmed this match.".to_owned()),
        Decision::QuestionAwaited(_) => (
            "question_awaited",
            "Both confirmed, and no question could be had yet.".to_owned(),
        ),
        Decision::SharingAwaited(_) => (
            "sharing_awaited",
            "Both confirmed, and the shared session could not be written yet.".to_owned(),
        ),
        Decision::PutBack(_) => (
            "put_back",
            "The match ended; it goes back to its old place.".to_owned(),
        ),
        Decision::ReplacedBy(ticket) => {
            ("replaced", format!("Ticket {} took its place.", ticket.0))
        }
        Decision::InSession(session) => (
            "in_session",
            format!("Session {} can be read; both are told.", session.0),
        ),
        Decision::Closed(outcome) => ("closed", format!("Its life ended: {}.", ended(outcome))),
    }
}

fn ended(outcome: TicketOutcome) -> &'static str {
    match outcome {
        TicketOutcome::Withdrawn => "withdrawn",
        TicketOutcome::Declined => "declined",
        TicketOutcome::Replaced => "replaced",
        TicketOutcome::Expired => "expired",
        TicketOutcome::Refused => "refused",
        TicketOutcome::InSession => "in a session",
    }
}
