//! People who use the server without a pause, and remember what it acknowledged.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::harness::*;

/// Buckets in use, few enough that everybody finds somebody.
const BUCKETS: usize = 12;
/// The least after which the server gives up what somebody waits for: to connect to PostgreSQL.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(800);

/// What the server acknowledged with 2xx, and what must therefore hold after a restart.
#[derive(Debug, Clone)]
pub enum Fact {
    /// The ticket exists.
    Asked { ticket: String },
    /// The ticket was withdrawn.
    Cancelled { ticket: String },
    /// The ticket gave way to another bucket's, and its proposal was declined.
    Replaced { ticket: String, match_id: String },
    /// The match has this user's yes.
    Confirmed { match_id: String },
    /// The match became this session.
    Opened { match_id: String, session: String },
    /// The match has this user's no, and the ticket is over.
    Declined { ticket: String, match_id: String },
    /// The user has left the session.
    Left { session: String },
}

impl Fact {
    /// The kind of write that was acknowledged.
    fn kind(&self) -> &'static str {
        match self {
            Self::Asked { .. } => "ask",
            Self::Cancelled { .. } => "cancel",
            Self::Replaced { .. } => "replace",
            Self::Confirmed { .. } | Self::Opened { .. } => "confirm",
            Self::Declined { .. } => "decline",
            Self::Left { .. } => "leave",
        }
    }
}

/// A write that was sent and has no answer.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The kind of write.
    pub kind: &'static str,
    /// The match that it may have ended, or the session that it may have left.
    pub subject: Option<String>,
}

/// One who uses the server.
pub struct Person {
    /// Who it is.
    pub user: User,
    /// Everything acknowledged, oldest first.
    pub facts: RefCell<Vec<Fact>>,
    /// The write that waits for its answer.
    pub in_flight: RefCell<Option<InFlight>>,
    /// Why there was no answer to the last request.
    pub unanswered: RefCell<Option<String>>,
    refused: Cell<bool>,
    /// Goes into the names of the buckets, so that rounds do not meet each other's leftovers.
    round: u64,
    /// The bucket of the present ticket.
    bucket: Cell<usize>,
    ticket: RefCell<Option<String>>,
    confirmed: RefCell<Option<String>>,
    random: RefCell<StdRng>,
}

/// The server is gone, or does not answer in its time; nothing is known about the last request.
pub struct Gone;

/// Whether this is what the server says where it cannot answer in its time.
pub fn is_late(why: &str) -> bool {
    why.contains("temporarily unavailable")
}

impl Person {
    /// Somebody new in this round, whose choices follow from `seed`.
    pub fn new(user: User, round: u64, seed: u64) -> Self {
        Self {
            user,
            facts: RefCell::default(),
            in_flight: RefCell::default(),
            unanswered: RefCell::default(),
            refused: Cell::default(),
            round,
            bucket: Cell::default(),
            ticket: RefCell::default(),
            confirmed: RefCell::default(),
            random: RefCell::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// Acts until the server is gone, or once has no answer in its time.
    pub async fn act(&self) {
        while self.step().await.is_ok() {
            let pause = self.random.borrow_mut().random_range(0..4);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Adds this person's acknowledged writes to the count of each kind.
    pub fn count_into(&self, counts: &mut BTreeMap<&'static str, usize>) {
        for fact in self.facts.borrow().iter() {
            *counts.entry(fact.kind()).or_default() += 1;
        }
    }

    async fn step(&self) -> Result<(), Gone> {
        let Some(ticket) = self.ticket.borrow().clone() else {
            return self.ask().await;
        };
        let path = format!("/requests/{ticket}/status");
        let status = self.read(self.user.request(Method::GET, &path)).await?;
        let match_id = status.json["match_id"].as_str().map(str::to_owned);
        match (text(status.expect(200), "status"), match_id) {
            ("pending", _) if self.dice(40) => self.cancel(ticket).await,
            ("pending", _) => Ok(()),
            ("matched", Some(match_id)) => self.in_match(ticket, match_id).await,
            (over, _) => panic!("{} did nothing, and the ticket is {over}", self.user.id),
        }
    }

    async fn in_match(&self, ticket: String, match_id: String) -> Result<(), Gone> {
        let confirmed = self.confirmed.borrow().as_deref() == Some(match_id.as_str());
        if confirmed {
            return self.after_own_confirmation(match_id).await;
        }
        let choice = self.random.borrow_mut().random_range(0..100);
        match choice {
            0..65 => {}
            65..80 => return self.decline(ticket, match_id).await,
            80..92 => return self.replace(ticket, match_id).await,
            _ => return Ok(()),
        }
        self.confirm(match_id).await
    }

    async fn after_own_confirmation(&self, match_id: String) -> Result<(), Gone> {
        if self.dice(15) {
            return self.confirm(match_id).await;
        }
        let path = format!("/{match_id}/status");
        let status = self.read(self.user.request(Method::GET, &path)).await?;
        let Some(session) = status.json["session_id"].as_str().map(str::to_owned) else {
            return Ok(());
        };
        self.fact(Fact::Opened {
            match_id,
            session: session.clone(),
        });
        self.ticket.replace(None);
        match self.dice(70) {
            true => self.leave(session).await,
            false => Ok(()),
        }
    }

    async fn ask(&self) -> Result<(), Gone> {
        self.bucket
            .set(self.random.borrow_mut().random_range(0..BUCKETS));
        let reply = self
            .write("ask", None, self.asking(self.bucket.get()))
            .await?;
        let ticket = text(reply.expect(200), "id").to_owned();
        self.fact(Fact::Asked {
            ticket: ticket.clone(),
        });
        self.ticket.replace(Some(ticket));
        Ok(())
    }

    async fn cancel(&self, ticket: String) -> Result<(), Gone> {
        let reply = self
            .write("cancel", None, self.user.cancelling(&ticket))
            .await?;
        match reply.status {
            200 => {
                self.fact(Fact::Cancelled { ticket });
                self.ticket.replace(None);
            }
            _ => _ = reply.expect_error(400, "Can only cancel pending requests"),
        }
        Ok(())
    }

    async fn confirm(&self, match_id: String) -> Result<(), Gone> {
        let reply = self
            .write("confirm", None, self.user.answering(&match_id, true))
            .await?;
        if reply.status == 404 {
            return Ok(());
        }
        self.confirmed.replace(Some(match_id.clone()));
        match reply.expect(200)["session_id"].as_str() {
            Some(session) => self.fact(Fact::Opened {
                match_id,
                session: session.to_owned(),
            }),
            None => self.fact(Fact::Confirmed { match_id }),
        }
        Ok(())
    }

    async fn decline(&self, ticket: String, match_id: String) -> Result<(), Gone> {
        let request = self.user.answering(&match_id, false);
        let reply = self.write("decline", Some(&match_id), request).await?;
        if reply.status == 404 {
            return Ok(());
        }
        assert_eq!(reply.expect(200)["status"], "cancelled");
        self.fact(Fact::Declined { ticket, match_id });
        self.ticket.replace(None);
        Ok(())
    }

    async fn replace(&self, ticket: String, match_id: String) -> Result<(), Gone> {
        let step = self.random.borrow_mut().random_range(1..BUCKETS);
        let other_bucket = (self.bucket.get() + step) % BUCKETS;
        let request = self.asking(other_bucket);
        let reply = self.write("replace", Some(&match_id), request).await?;
        let new_ticket = text(reply.expect(200), "id").to_owned();
        assert_ne!(new_ticket, ticket);
        self.bucket.set(other_bucket);
        self.fact(Fact::Replaced { ticket, match_id });
        self.fact(Fact::Asked {
            ticket: new_ticket.clone(),
        });
        self.ticket.replace(Some(new_ticket));
        Ok(())
    }

    async fn leave(&self, session: String) -> Result<(), Gone> {
        let reply = self
            .write("leave", Some(&session), self.user.leaving(&session))
            .await?;
        assert_eq!(*reply.expect(200), json!({"status": "left"}));
        self.fact(Fact::Left { session });
        Ok(())
    }

    fn asking(&self, bucket: usize) -> Request {
        self.user
            .asking("Easy", &format!("Topic {bucket} of round {}", self.round))
    }

    async fn write(
        &self,
        kind: &'static str,
        subject: Option<&str>,
        request: Request,
    ) -> Result<Reply, Gone> {
        let subject = subject.map(str::to_owned);
        self.in_flight.replace(Some(InFlight { kind, subject }));
        let reply = self.read(request).await;
        // A server that stops refuses before it changes anything.
        if reply.is_ok() || self.was_refused() {
            self.in_flight.replace(None);
        }
        reply
    }

    async fn read(&self, request: Request) -> Result<Reply, Gone> {
        let begun = Instant::now();
        let reply = request.try_send().await.map_err(|why| {
            self.unanswered.replace(Some(why));
            Gone
        })?;
        let is_stopping = reply.status == 503 && reply.text.contains("is stopping");
        self.refused.set(is_stopping);
        // A busy machine: it is still carried out, or is not, as if the answer had been cut off. One
        // that comes sooner than the server may give up has another cause.
        let may_be_late = begun.elapsed() >= GIVEN_UP_AFTER;
        if reply.status == 503 && is_late(&reply.text) && may_be_late {
            self.unanswered.replace(Some(reply.text));
            return Err(Gone);
        }
        if is_stopping { Err(Gone) } else { Ok(reply) }
    }

    /// Whether the server said that it stops.
    pub fn was_refused(&self) -> bool {
        self.refused.get()
    }

    fn fact(&self, fact: Fact) {
        self.facts.borrow_mut().push(fact);
    }

    /// True in `percent` of all cases.
    fn dice(&self, percent: u32) -> bool {
        self.random.borrow_mut().random_range(0..100) < percent
    }
}
