//! What is not valid is refused with the code of contract §2, and nothing changes.

mod bodies;
mod paths;
mod transport;

use crate::harness::*;

/// A user in each situation, to show after a table of bad requests that nothing changed.
struct Standing {
    waiting: User,
    ticket: String,
    pair: scenes::Pair,
    members: scenes::Pair,
    session: String,
}

impl Standing {
    async fn on(server: &Server) -> Self {
        let waiting = server.user("waiting");
        let ticket = waiting.open_ticket("Easy", "Nobody else's topic").await;
        let pair = scenes::pair(server, "first", "second", "Array").await;
        let members = scenes::pair(server, "member", "other member", "Graph").await;
        let session = members.open_session().await;
        Self {
            waiting,
            ticket,
            pair,
            members,
            session,
        }
    }

    /// Asserts that everybody still stands where they stood.
    async fn is_unchanged(&self, server: &Server) {
        assert_eq!(self.waiting.state(&self.ticket).await, "pending");
        let status = server.match_status(&self.pair.match_id).await;
        let unconfirmed = json!({"confirm_status": false, "session_id": null});
        assert_eq!(*status.expect(200), unconfirmed);
        for (user, ticket) in [
            (&self.pair.first, &self.pair.first_ticket),
            (&self.pair.second, &self.pair.second_ticket),
        ] {
            let matched = json!({"status": "matched", "match_id": self.pair.match_id});
            assert_eq!(*user.status(ticket).await.expect(200), matched);
            // Neither has confirmed: an ask for the same bucket would be a duplicate.
            let same = user.ask("Easy", "Array").await;
            assert_eq!(text(same.expect(200), "id"), ticket.as_str());
        }
        for user in [&self.members.first, &self.members.second] {
            let active = user.active_session().await;
            assert_eq!(active.expect(200)["session_id"], self.session.as_str());
        }
        server.get("/readyz").await.expect(200);
    }
}

/// Limits that a long table does not run into.
async fn patient_server() -> Server {
    Server::with("ASK_BURST", 100_000).start().await
}

/// Bodies that are no JSON object at all, with the code that each deserves.
fn broken_bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    let deep = |open: &str, close: &str, levels| open.repeat(levels) + &close.repeat(levels);
    vec![
        ("nothing", Vec::new(), 400),
        ("white space", b" \n\t ".to_vec(), 400),
        ("half an object", b"{\"topic\": \"Array\"".to_vec(), 400),
        ("two objects", b"{}{}".to_vec(), 400),
        ("null", b"null".to_vec(), 400),
        ("a number", b"17".to_vec(), 400),
        ("a text", b"\"Easy\"".to_vec(), 400),
        ("a list", b"[\"Easy\", \"Array\"]".to_vec(), 400),
        ("no field", b"{}".to_vec(), 400),
        ("a form", b"difficulty=Easy&topic=Array".to_vec(), 400),
        ("XML", b"<request/>".to_vec(), 400),
        ("no UTF-8", b"{\"topic\": \"\xff\xfe\"}".to_vec(), 400),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec(), 400),
        (
            "half a surrogate",
            b"{\"topic\": \"\\ud800\"}".to_vec(),
            400,
        ),
        ("NUL bytes", vec![0; 100], 400),
        ("lists in lists", deep("[", "]", 8_000).into_bytes(), 400),
        (
            "objects in objects",
            deep("{\"a\":", "}", 2_000).into_bytes(),
            400,
        ),
        (
            "a deep field",
            format!("{{\"x\":{}}}", deep("[", "]", 7_000)).into_bytes(),
            400,
        ),
        ("16 KiB and one byte", vec![b' '; 16 * 1024 + 1], 413),
        ("a megabyte", vec![b'x'; 1024 * 1024], 413),
    ]
}

/// Asserts that `reply` is refused with `status`, and says nothing internal.
#[track_caller]
fn refused(reply: &Reply, status: u16, fault: &str) {
    assert_eq!(
        reply.status, status,
        "{fault}: {} was answered {}",
        reply.what, reply.text
    );
    reply.expect(status);
    let detail = text(&reply.json, "detail");
    for internal in [
        "src/", ".rs", "panicked", "serde", "Sqlite", "SELECT", "INSERT",
    ] {
        assert!(!detail.contains(internal), "{fault}: {detail}");
    }
}
