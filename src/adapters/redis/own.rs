//! What we keep of a session beside its key, which others rewrite without the members.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use domain::{MatchId, SessionId, SessionRecord, Timestamp, UserId};
use ports::announcement::QuestionDocument;

/// The value under a session's own key, as JSON.
#[derive(Serialize, Deserialize)]
struct OwnDocument {
    match_id: Uuid,
    users: [String; 2],
    left: [bool; 2],
    question: QuestionDocument,
    opened_at_ms: i64,
    ends_at_ms: i64,
}

/// The text of this record.
///
/// # Errors
///
/// None that a session could cause; the JSON writer's type has one.
pub(super) fn text(session: &SessionRecord) -> serde_json::Result<String> {
    serde_json::to_string(&OwnDocument {
        match_id: session.match_id.0,
        users: session.users.each_ref().map(ToString::to_string),
        left: session.left,
        question: (&session.question).into(),
        opened_at_ms: session.opened_at.as_ms(),
        ends_at_ms: session.ends_at.as_ms(),
    })
}

/// The record in this text; nothing where it is not one of ours.
pub(super) fn record(id: SessionId, text: &[u8]) -> Option<SessionRecord> {
    let own: OwnDocument = serde_json::from_slice(text).ok()?;
    let [first, second] = own.users.each_ref().map(|user| UserId::parse(user).ok());
    Some(SessionRecord {
        id,
        match_id: MatchId(own.match_id),
        users: [first?, second?],
        question: own.question.into(),
        opened_at: Timestamp::from_ms(own.opened_at_ms),
        ends_at: Timestamp::from_ms(own.ends_at_ms),
        left: own.left,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{match_id, session_id, session_record};

    #[test]
    fn a_record_comes_back_as_it_went_in() {
        let mut session = session_record();
        session.match_id = match_id(2);
        session.question.title = "Two \"Sum\"".into();
        session.left = [true, false];

        let text = text(&session).unwrap();

        assert_eq!(record(session_id(1), text.as_bytes()), Some(session));
        assert_eq!(record(session_id(1), b"{}"), None);
    }
}
