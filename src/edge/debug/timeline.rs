//! What happened to one ticket, in order.

use uuid::Uuid;

use super::sentences;
use crate::wire::{TIMELINE_SOURCES, TicketTimeline, TimelineEntry, rfc3339_ms};
use actors::decisions::Decided;
use actors::messages::Explained;
use domain::bucket::{LOOKED_AT_MAX, Standing};
use domain::{TicketId, Timestamp};
use ports::{PastMatch, PastSession, StoredPast};

/// An entry with its time, to be sorted.
type Dated = (Timestamp, TimelineEntry);

/// The answer about one ticket, from what is stored and what is remembered of it.
pub(super) fn of(
    id: TicketId,
    past: &StoredPast,
    explained: Option<Explained>,
    decided: &[Decided],
) -> TicketTimeline {
    let place = match explained.map(|explained| explained.standing) {
        Some(Standing::Waits { ahead, .. }) if ahead < LOOKED_AT_MAX => Some(ahead + 1),
        _ => None,
    };
    let mut entries = stored(past);
    entries.extend(decided.iter().map(remembered));
    // What is of the same moment stays in this order: the row first.
    entries.sort_by_key(|(at, _)| *at);
    TicketTimeline {
        id: id.0,
        user_id: past.user.to_string(),
        difficulty: past.wish.difficulty.as_str(),
        topic: past.wish.topic.as_str().to_owned(),
        status: past.status.clone(),
        why: sentences::why(past, explained),
        place,
        waits_until: (past.status == "waiting").then(|| rfc3339_ms(past.waits_until)),
        timeline: entries.into_iter().map(|(_, entry)| entry).collect(),
    }
}

fn remembered(decided: &Decided) -> Dated {
    let (what, detail) = sentences::decided(decided.what);
    let match_id = decided.what.of_match().map(|id| id.0);
    entry(TIMELINE_SOURCES[1], decided.at, what, detail, match_id)
}

fn stored(past: &StoredPast) -> Vec<Dated> {
    let mut asked = format!(
        "Asked for {} in {}",
        past.wish.topic.as_str(),
        past.wish.difficulty.as_str()
    );
    if past.asks > 0 {
        asked += &format!("; asked for again: {} ×", past.asks);
    }
    if past.silences > 0 {
        asked += &format!(
            "; proposals in a row that were not answered: {}",
            past.silences
        );
    }
    asked.push('.');
    let mut entries = vec![of_row(past.enqueued_at, "asked", asked, None)];
    for of in &past.matches {
        of_match(of, &mut entries);
    }
    if let Some(at) = past.ended_at {
        let detail = format!("Stored as {}.", past.status.replace('_', " "));
        entries.push(of_row(at, "ended", detail, None));
    }
    entries
}

fn of_match(of: &PastMatch, entries: &mut Vec<Dated>) {
    let id = Some(of.id.0);
    let confirmed = match of.confirmed {
        [true, true] => "both confirmed",
        [true, false] => "its user confirmed",
        [false, true] => "the partner confirmed",
        [false, false] => "nobody confirmed",
    };
    let (partner, until) = (of.partner.0, rfc3339_ms(of.expires_at));
    let detail = format!("Proposed with ticket {partner} until {until}; {confirmed}.");
    entries.push(of_row(of.proposed_at, "proposal", detail, id));
    if let Some(at) = of.ended_at {
        let detail = format!("The match is over: {}.", of.state.replace('_', " "));
        entries.push(of_row(at, "match_over", detail, id));
    }
    if let Some(session) = &of.session {
        of_session(session, id, entries);
    }
}

fn of_session(session: &PastSession, id: Option<Uuid>, entries: &mut Vec<Dated>) {
    let (session_id, until) = (session.id.0, rfc3339_ms(session.ends_at));
    let detail = format!("Session {session_id} began; it lasts until {until} at most.");
    entries.push(of_row(session.opened_at, "session", detail, id));
    for (who, at) in ["Its user", "The partner"].into_iter().zip(session.left_at) {
        if let Some(at) = at {
            entries.push(of_row(at, "left", format!("{who} left the session."), id));
        }
    }
    let Some(announcement) = &session.announcement else {
        return;
    };
    let (event, tries) = (announcement.id.0, announcement.attempts);
    let (at, what, detail) = match announcement.sent_at {
        Some(at) => (
            at,
            "announced",
            format!("Event {event} was taken by the broker."),
        ),
        None => (
            session.opened_at,
            "to_announce",
            format!("Event {event} waits to be sent; it was tried {tries} times."),
        ),
    };
    entries.push(of_row(at, what, detail, id));
}

fn of_row(at: Timestamp, what: &'static str, detail: String, match_id: Option<Uuid>) -> Dated {
    entry(TIMELINE_SOURCES[0], at, what, detail, match_id)
}

fn entry(
    source: &'static str,
    at: Timestamp,
    what: &'static str,
    detail: String,
    match_id: Option<Uuid>,
) -> Dated {
    let entry = TimelineEntry {
        at: rfc3339_ms(at),
        source,
        what,
        detail,
        match_id,
    };
    (at, entry)
}
