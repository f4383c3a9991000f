//! One person who speaks to the server.

use awc::http::Method;
use serde_json::{Value, json};

use super::{Api, PREFIX, Reply, Request, Socket, eventually, text};

/// A user id with a token, and one method for every endpoint.
#[derive(Clone)]
pub struct User {
    /// The `sub` of the token.
    pub id: String,
    /// The token itself.
    pub token: String,
    api: Api,
}

impl User {
    /// Somebody who carries `token`.
    pub fn new(api: &Api, id: &str, token: String) -> Self {
        api.keep_secret(&token);
        Self {
            id: id.to_owned(),
            token,
            api: api.clone(),
        }
    }

    /// A request below the prefix with this user's token.
    pub fn request(&self, method: Method, path: &str) -> Request {
        self.api
            .request(method, &format!("{PREFIX}{path}"))
            .bearer(&self.token)
    }

    /// `POST path` with a JSON body.
    pub fn posting(&self, path: &str, body: &Value) -> Request {
        self.request(Method::POST, path).json(body)
    }

    /// `POST /request`, not sent yet.
    pub fn asking(&self, difficulty: &str, topic: &str) -> Request {
        let body = json!({"difficulty": difficulty, "topic": topic});
        self.posting("/request", &body)
    }

    /// `DELETE /request/{id}`, not sent yet.
    pub fn cancelling(&self, ticket: &str) -> Request {
        self.request(Method::DELETE, &format!("/request/{ticket}"))
    }

    /// `POST /confirm`, not sent yet.
    pub fn answering(&self, match_id: &str, confirmed: bool) -> Request {
        let body = json!({"match_id": match_id, "confirmed": confirmed});
        self.posting("/confirm", &body)
    }

    /// `POST /sessions/leave`, not sent yet.
    pub fn leaving(&self, session: &str) -> Request {
        self.posting("/sessions/leave", &json!({"session_id": session}))
    }

    /// `POST /request`.
    pub async fn ask(&self, difficulty: &str, topic: &str) -> Reply {
        self.asking(difficulty, topic).send().await
    }

    /// `GET /requests/{id}/status`.
    pub async fn status(&self, ticket: &str) -> Reply {
        let path = format!("/requests/{ticket}/status");
        self.request(Method::GET, &path).send().await
    }

    /// `DELETE /request/{id}`.
    pub async fn cancel(&self, ticket: &str) -> Reply {
        self.cancelling(ticket).send().await
    }

    /// `POST /confirm`, with yes or no.
    pub async fn confirm(&self, match_id: &str, confirmed: bool) -> Reply {
        self.answering(match_id, confirmed).send().await
    }

    /// `POST /sessions/leave`.
    pub async fn leave(&self, session: &str) -> Reply {
        self.leaving(session).send().await
    }

    /// `GET /sessions/active`.
    pub async fn active_session(&self) -> Reply {
        self.request(Method::GET, "/sessions/active").send().await
    }

    /// Asks, expects 200, gives the ticket's id.
    pub async fn open_ticket(&self, difficulty: &str, topic: &str) -> String {
        let reply = self.ask(difficulty, topic).await;
        reply.expect(200);
        text(&reply.json, "id").to_owned()
    }

    /// The `status` text of an own ticket.
    pub async fn state(&self, ticket: &str) -> String {
        let reply = self.status(ticket).await;
        reply.expect(200);
        text(&reply.json, "status").to_owned()
    }

    /// Awaits that the ticket's status is `state`.
    pub async fn reaches(&self, ticket: &str, state: &str) {
        let what = format!("the ticket of {} becomes {state}", self.id);
        eventually(&what, async || {
            (self.state(ticket).await == state).then_some(())
        })
        .await;
    }

    /// Awaits the ticket's match and gives its id.
    pub async fn matched(&self, ticket: &str) -> String {
        eventually(&format!("{} is matched", self.id), async || {
            let reply = self.status(ticket).await;
            reply.expect(200)["match_id"].as_str().map(str::to_owned)
        })
        .await
    }

    /// Awaits a match of this ticket other than `former`.
    pub async fn matched_again(&self, ticket: &str, former: &str) -> String {
        eventually(&format!("{} is matched again", self.id), async || {
            let reply = self.status(ticket).await;
            let found = reply.expect(200)["match_id"].as_str().map(str::to_owned);
            found.filter(|id| id != former)
        })
        .await
    }

    /// Opens a socket with the token in the query, as browsers do.
    pub async fn connect(&self) -> Socket {
        let path = format!("/ws?token={}", self.token);
        Socket::open(&self.api, &path, &[]).await
    }
}
