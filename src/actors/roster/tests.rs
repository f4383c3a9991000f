//! What the roster does with facts that come together.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::*;
use crate::matchmaker::{MatchmakerActor, Restored};
use crate::messages::ExplainTicket;
use crate::{BUCKET_MAILBOX, start};
use domain::limits::Timeouts;
use domain::testing::{at_ms, session_id, ticket, wish};
use domain::{Question, SessionRecord, Wish, Write};
use ports::{
    Away, BearerToken, Clock, Questions, QueueChange, QueueMirror, SharedSessions, Store,
    StoreDepth, WriteDone,
};

/// Every backend; remembers what was to be stored, and never answers.
#[derive(Default)]
struct Silent {
    writes: Mutex<Vec<Write>>,
    /// Whoever waits for an answer is kept waiting.
    asked: Mutex<Vec<WriteDone>>,
}

impl Clock for Silent {
    fn now(&self) -> Timestamp {
        at_ms(10)
    }
}

impl Store for Silent {
    fn submit(&self, write: Write, _: Option<Timestamp>, done: WriteDone) {
        self.writes.lock().unwrap().push(write);
        self.asked.lock().unwrap().push(done);
    }

    fn depth(&self) -> StoreDepth {
        let asked = self.asked.lock().unwrap().len();
        StoreDepth {
            backend: "silent",
            urgent: asked,
            patient: 0,
        }
    }
}

impl QueueMirror for Silent {
    fn note(&self, _: QueueChange) {}
}

#[async_trait]
impl Questions for Silent {
    async fn pick(&self, _: &Wish, _: Option<&BearerToken>) -> Result<Question, Away> {
        unreachable!("nobody confirms")
    }
}

#[async_trait]
impl SharedSessions for Silent {
    async fn put_if_absent(&self, _: &SessionRecord) -> Result<Question, Away> {
        unreachable!("nobody confirms")
    }

    async fn read(&self, _: SessionId) -> Result<Option<String>, Away> {
        unreachable!("nobody confirms")
    }

    async fn write_left(&self, _: &SessionRecord) -> Result<(), Away> {
        unreachable!("nobody confirms")
    }

    async fn remove(&self, _: SessionId) -> Result<(), Away> {
        unreachable!("nobody confirms")
    }
}

fn roster(backends: &Arc<Silent>, waiting: Vec<Ticket>) -> RosterActor {
    let ports = Ports {
        clock: backends.clone(),
        store: backends.clone(),
        shared: backends.clone(),
        questions: backends.clone(),
        mirror: backends.clone(),
    };
    let settings = CoreSettings {
        timeouts: Timeouts::default(),
        matches_max: 9,
        tickets_max: 9,
        sessions_max: 9,
        buckets_max: 9,
    };
    let live = LiveState {
        tickets: waiting,
        ..LiveState::default()
    };
    RosterActor::new(ports, Arc::default(), settings, Handle::current(), live)
}

/// However many facts come before: the roster gives way from time to time, and then buckets run.
#[actix_rt::test]
async fn a_ticket_that_is_replaced_and_abandoned_in_one_breath_is_not_paired_in_between() {
    for before in 0..40 {
        let backends = Arc::new(Silent::default());
        let (mut old, mut new) = (ticket(2), ticket(3));
        old.wish = wish("Graph");
        new.user = old.user.clone();
        let roster = roster(&backends, vec![ticket(1), old.clone()]);
        let facts = roster.core.roster.clone();
        let _roster = roster.start();
        for _ in 0..20 {
            yield_now().await;
        }

        for _ in 0..before {
            facts.report(RosterFact::MatchOver(MatchId(session_id(1).0)));
        }
        facts.report(RosterFact::Replaced {
            old: old.id,
            new: Box::new(new.clone()),
        });
        facts.report(RosterFact::Abandoned(Box::new(new.clone())));
        for _ in 0..20 {
            yield_now().await;
        }

        let withdrawn = Write::CloseTicket {
            ticket: new.id,
            outcome: TicketOutcome::Withdrawn,
            at: at_ms(10),
        };
        let writes = backends.writes.lock().unwrap();
        assert_eq!(*writes, [withdrawn], "after {before} other facts");
    }
}

/// A query takes in what has come before it, and nobody else looks at that again.
#[actix_rt::test]
async fn two_who_came_before_somebody_looked_are_paired_all_the_same() {
    let backends = Arc::new(Silent::default());
    let core = Arc::clone(&roster(&backends, Vec::new()).core);
    let (one, other) = (ticket(1), ticket(2));
    let bucket = MatchmakerActor::new(core, one.wish.bucket(), Restored::default());
    let inbox = bucket.inbox();
    let bucket = start(bucket, BUCKET_MAILBOX);
    for _ in 0..20 {
        yield_now().await;
    }

    let (reply, explained) = oneshot::channel();
    for ticket in [&one, &other] {
        inbox.report(BucketFact::Admitted(Box::new(ticket.clone())));
    }
    let query = ExplainTicket {
        bucket: one.wish.bucket(),
        ticket: one.id,
        reply,
    };
    assert!(bucket.try_send(query).is_ok());
    assert!(explained.await.unwrap().is_some());
    for _ in 0..20 {
        yield_now().await;
    }

    let writes = backends.writes.lock().unwrap();
    let proposed = writes.iter().any(|it| matches!(it, Write::ProposeMatch(_)));
    assert!(proposed, "{writes:?}");
}
