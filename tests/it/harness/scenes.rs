//! Situations that many tests begin with.

use serde_json::json;

use super::{Server, Socket, User, text};

/// Two users in one unanswered match; `first` asked first.
pub struct Pair {
    /// Whoever asked first.
    pub first: User,
    /// Whoever asked second.
    pub second: User,
    /// The first one's ticket.
    pub first_ticket: String,
    /// The second one's ticket.
    pub second_ticket: String,
    /// Their match.
    pub match_id: String,
}

impl Pair {
    /// Both confirm; gives the session's id.
    pub async fn open_session(&self) -> String {
        self.first.confirm(&self.match_id, true).await.expect(200);
        let reply = self.second.confirm(&self.match_id, true).await;
        reply.expect(200);
        text(&reply.json, "session_id").to_owned()
    }

    /// A socket of each.
    pub async fn connect(&self) -> (Socket, Socket) {
        (self.first.connect().await, self.second.connect().await)
    }
}

/// Like [`pair`], and both have had a socket open since before they asked.
pub async fn pair_at_screens(
    server: &Server,
    names: [&str; 2],
    topic: &str,
) -> (Pair, Socket, Socket) {
    let [first, second] = names.map(|name| server.user(name));
    let (first_screen, second_screen) = (first.connect().await, second.connect().await);
    let pair = pair_up(first, second, topic).await;
    (pair, first_screen, second_screen)
}

/// Matches two new users in the bucket (Easy, `topic`), which must be empty.
pub async fn pair(server: &Server, first: &str, second: &str, topic: &str) -> Pair {
    let (first, second) = (server.user(first), server.user(second));
    pair_up(first, second, topic).await
}

/// Matches two users in the bucket (Easy, `topic`), which must be empty.
pub async fn pair_up(first: User, second: User, topic: &str) -> Pair {
    let first_ticket = first.open_ticket("Easy", topic).await;
    let second_ticket = second.open_ticket("Easy", topic).await;
    let match_id = first.matched(&first_ticket).await;
    assert_eq!(second.matched(&second_ticket).await, match_id);
    Pair {
        first,
        second,
        first_ticket,
        second_ticket,
        match_id,
    }
}

/// A user in each situation, to show after a table of bad requests that nothing changed.
pub struct Standing {
    /// Waits for a partner.
    pub waiting: User,
    /// The ticket of whoever waits.
    pub ticket: String,
    /// Two in a match that neither has answered.
    pub pair: Pair,
    /// Two in a session.
    pub members: Pair,
    /// Their session.
    pub session: String,
}

impl Standing {
    /// Puts everybody there, on a server on which nobody is yet.
    pub async fn on(server: &Server) -> Self {
        let waiting = server.user("waiting");
        let ticket = waiting.open_ticket("Easy", "Nobody else's topic").await;
        let pair = pair_up(server.user("first"), server.user("second"), "Array").await;
        let members = pair_up(server.user("member"), server.user("other member"), "Graph").await;
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
    pub async fn is_unchanged(&self, server: &Server) {
        self.looks_unchanged(server).await;
        for (user, ticket) in self.matched() {
            // Neither has confirmed: an ask for the same bucket would be a duplicate.
            let same = user.ask("Easy", "Array").await;
            assert_eq!(text(same.expect(200), "id"), ticket.as_str());
        }
        server.get("/readyz").await.expect(200);
    }

    /// As [`Self::is_unchanged`], by reading alone.
    pub async fn looks_unchanged(&self, server: &Server) {
        assert_eq!(self.waiting.state(&self.ticket).await, "pending");
        let status = server.match_status(&self.pair.match_id).await;
        let unconfirmed = json!({"confirm_status": false, "session_id": null});
        assert_eq!(*status.expect(200), unconfirmed);
        for (user, ticket) in self.matched() {
            let matched = json!({"status": "matched", "match_id": self.pair.match_id});
            assert_eq!(*user.status(ticket).await.expect(200), matched);
        }
        for user in [&self.members.first, &self.members.second] {
            let active = user.active_session().await;
            assert_eq!(active.expect(200)["session_id"], self.session.as_str());
        }
    }

    fn matched(&self) -> [(&User, &String); 2] {
        let pair = &self.pair;
        [
            (&pair.first, &pair.first_ticket),
            (&pair.second, &pair.second_ticket),
        ]
    }
}
