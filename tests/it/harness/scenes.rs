//! Situations that many tests begin with.

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
