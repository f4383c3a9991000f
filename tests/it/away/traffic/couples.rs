//! Couples who meet, open a session and leave it, again and again, whatever happens meanwhile.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::harness::*;

use super::super::AT_ONCE;

/// Longest time that a confirmation may take which looks for a question, and any request at all.
pub const LONGEST: Duration = Duration::from_secs(5);
/// Time between two tries, and between two looks at a ticket.
const PAUSE: Duration = Duration::from_millis(20);

/// What somebody was told of a session from its beginning to its end: all of it was answered 2xx.
pub struct Meeting {
    /// Who asked, with their tickets.
    pub tickets: [(User, String); 2],
    /// Their match.
    pub match_id: String,
    /// Their session, which both have left.
    pub session: String,
}

/// What all couples of one test share.
#[derive(Default)]
pub struct Conditions {
    /// Nobody begins another meeting.
    pub over: Cell<bool>,
    slowest: RefCell<(Duration, String)>,
}

impl Conditions {
    /// Sends it, and is answered in time.
    async fn send(&self, limit: Duration, request: impl Fn() -> Request) -> Reply {
        let begun = Instant::now();
        let reply = request().send().await;
        let took = begun.elapsed();
        assert!(is_in_time(took, limit), "{} took {took:?}", reply.what);
        if took > self.slowest.borrow().0 {
            let said = format!("{} {}", reply.what, reply.status);
            self.slowest.replace((took, said));
        }
        reply
    }

    /// The longest time that anybody waited for an answer, and which.
    pub fn slowest(&self) -> (Duration, String) {
        self.slowest.borrow().clone()
    }
}

/// Two who meet again and again.
pub struct Couple<'a> {
    conditions: &'a Conditions,
    users: [User; 2],
    number: usize,
    /// Whether they want another topic each time.
    wanders: bool,
    /// Their meetings so far.
    pub meetings: RefCell<Vec<Meeting>>,
    /// Tickets that were replaced, declined with, or withdrawn; each was answered 2xx.
    pub ended: RefCell<Vec<(User, String)>>,
    /// How often they were told to come again.
    pub refused: Cell<usize>,
}

impl<'a> Couple<'a> {
    /// Couple `number` of a server; those that wander ask for a topic that nobody has asked for.
    pub fn new(server: &Server, conditions: &'a Conditions, number: usize, wanders: bool) -> Self {
        Self {
            conditions,
            users: ["ada", "bob"].map(|name| server.user(&format!("{name} {number}"))),
            number,
            wanders,
            meetings: RefCell::default(),
            ended: RefCell::default(),
            refused: Cell::default(),
        }
    }

    /// Meets until all is over, and thinks better of it every other time.
    pub async fn meet_again_and_again(&self) {
        while !self.conditions.over.get() {
            if (self.number + self.met()).is_multiple_of(2) {
                self.think_better_of_it().await;
            }
            let meeting = self.meet().await;
            self.meetings.borrow_mut().push(meeting);
        }
    }

    /// How often they have met.
    pub fn met(&self) -> usize {
        self.meetings.borrow().len()
    }

    async fn meet(&self) -> Meeting {
        let [ada, bob] = &self.users;
        let topic = match self.wanders {
            true => format!("Topic {} {}", self.number, self.met()),
            false => format!("Topic {}", self.number),
        };
        let mut tickets = Vec::new();
        for user in [ada, bob] {
            tickets.push((user.clone(), self.ask(user, &topic).await));
        }
        let match_id = self.matched(ada, &tickets[0].1).await;
        self.insist(AT_ONCE, || ada.answering(&match_id, true))
            .await;
        let confirm = || bob.answering(&match_id, true);
        let confirmed = self.insist(LONGEST, confirm).await;
        let session = text(&confirmed, "session_id").to_owned();
        for user in &self.users {
            let left = self.insist(AT_ONCE, || user.leaving(&session)).await;
            assert_eq!(left["status"], "left");
        }
        let tickets = tickets.try_into();
        Meeting {
            tickets: tickets.unwrap_or_else(|_| unreachable!("two have asked")),
            match_id,
            session,
        }
    }

    /// One declines; the other, who is put back, asks for something else and withdraws that.
    async fn think_better_of_it(&self) {
        let [ada, bob] = &self.users;
        let topics = ["Doubt", "More doubt"].map(|topic| format!("{topic} {}", self.number));
        let replaced = self.ask(ada, &topics[0]).await;
        let declined = self.ask(bob, &topics[0]).await;
        let match_id = self.matched(ada, &replaced).await;
        self.insist(AT_ONCE, || bob.answering(&match_id, false))
            .await;
        let withdrawn = self.ask(ada, &topics[1]).await;
        self.withdraw(ada, &withdrawn).await;
        let tickets = [(ada, replaced), (bob, declined), (ada, withdrawn)];
        let tickets = tickets.map(|(user, ticket)| (user.clone(), ticket));
        self.ended.borrow_mut().extend(tickets);
    }

    async fn ask(&self, user: &User, topic: &str) -> String {
        let asked = self.insist(AT_ONCE, || user.asking("Easy", topic)).await;
        text(&asked, "id").to_owned()
    }

    /// Withdraws until it is granted, or until it turns out that it was when nobody could say so.
    async fn withdraw(&self, user: &User, ticket: &str) {
        let before = self.refused.get();
        let withdraw = || user.cancelling(ticket);
        let reply = self.until_granted(AT_ONCE, withdraw).await;
        if self.refused.get() == before || reply.status != 400 {
            reply.expect(200);
        }
    }

    async fn matched(&self, user: &User, ticket: &str) -> String {
        let path = format!("/requests/{ticket}/status");
        loop {
            let look = || user.request(Method::GET, &path);
            let seen = self.insist(AT_ONCE, look).await;
            if let Some(match_id) = seen["match_id"].as_str() {
                return match_id.to_owned();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks until it is granted. Nothing but 503 is said meanwhile, and that in time.
    async fn insist(&self, limit: Duration, request: impl Fn() -> Request) -> Value {
        let reply = self.until_granted(limit, request).await;
        reply.expect(200).clone()
    }

    async fn until_granted(&self, limit: Duration, request: impl Fn() -> Request) -> Reply {
        loop {
            let reply = self.conditions.send(limit, &request).await;
            if reply.status != 503 {
                return reply;
            }
            reply.expect(503);
            self.refused.set(self.refused.get() + 1);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
