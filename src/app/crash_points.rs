//! Places at which the process can be made to end, as if it was killed there: before and after each
//! step that leaves this process. In debug builds only.
//!
//! `CRASH_AT=after:confirm_match:3` aborts when the third confirmation is stored and nobody has been
//! told. Tests start the server again and look at it from outside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use domain::{
    Ending, EventId, Question, SessionId, SessionRecord, TicketOutcome, Timestamp, Wish, Write,
};
use ports::{
    Announcement, Away, BearerToken, Outbox, OutboxBacklog, Ports, Published, Publisher, Questions,
    SharedSessions, Store, StoreDepth, WriteDone,
};

/// Which place that is, if any.
const VARIABLE: &str = "CRASH_AT";

/// The one place at which this process ends.
#[derive(Debug)]
struct CrashPoint {
    when: When,
    step: String,
    /// How often it is reached before it counts.
    passes: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

/// What the environment says; nothing in a release build.
///
/// # Panics
///
/// Where it says something that is no place.
fn of_process() -> Option<&'static Arc<CrashPoint>> {
    static POINT: OnceLock<Option<Arc<CrashPoint>>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return None;
    }
    let read = || {
        let text = std::env::var(VARIABLE)
            .ok()
            .filter(|text| !text.is_empty())?;
        let point = CrashPoint::parse(&text);
        assert!(point.is_some(), "{VARIABLE}={text} is not a place");
        point.map(Arc::new)
    };
    POINT.get_or_init(read).as_ref()
}

impl CrashPoint {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let when = match parts.next()? {
            "before" => When::Before,
            "after" => When::After,
            _ => return None,
        };
        let step = parts.next()?.to_owned();
        let nth: u64 = parts.next().map_or(Some(1), |nth| nth.parse().ok())?;
        Some(Self {
            when,
            step,
            passes: AtomicU64::new(nth.checked_sub(1)?),
        })
    }

    fn before(&self, step: &str) {
        self.reach(When::Before, step);
    }

    fn after(&self, step: &str) {
        self.reach(When::After, step);
    }

    fn reach(&self, when: When, step: &str) {
        if self.when != when || self.step != step {
            return;
        }
        let pass = |passes: u64| passes.checked_sub(1);
        if self
            .passes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, pass)
            .is_err()
        {
            eprintln!("{VARIABLE}: {step} is reached");
            std::process::abort();
        }
    }
}

/// The name of the step that stores `write`.
fn step_of(write: &Write) -> &'static str {
    match write {
        Write::OpenTicket(_) => "open_ticket",
        Write::CloseTicket {
            outcome: TicketOutcome::Expired,
            ..
        } => "expire_ticket",
        Write::CloseTicket { .. } => "close_ticket",
        Write::ReplaceTicket { .. } => "replace_ticket",
        Write::CountAsk { .. } => "count_ask",
        Write::DiscardTicket { .. } => "discard_ticket",
        Write::ProposeMatch(_) => "propose_match",
        Write::ConfirmMatch { .. } => "confirm_match",
        Write::EndMatch { opens: Some(_), .. } => "decline_and_ask",
        Write::EndMatch {
            ending: Ending::Declined(_),
            ..
        } => "decline_match",
        Write::EndMatch {
            ending: Ending::Expired,
            ..
        } => "expire_match",
        Write::EndMatch {
            ending: Ending::QuestionUnavailable,
            ..
        } => "give_match_up",
        Write::OpenSession { .. } => "open_session",
        Write::LeaveSession { .. } => "leave_session",
        Write::ExtendMatch { .. } => "extend_match",
    }
}

/// Something that ends the process where its point is reached.
struct Crashing<T: ?Sized> {
    inner: Arc<T>,
    point: Arc<CrashPoint>,
}

/// The same ports, with a point between any two of their steps.
pub fn around(ports: Ports) -> Ports {
    let Some(point) = of_process() else {
        return ports;
    };
    Ports {
        store: crashing(ports.store, point),
        shared: crashing(ports.shared, point),
        questions: crashing(ports.questions, point),
        ..ports
    }
}

/// The same store, with a point before and after each write.
pub fn around_store(store: Arc<dyn Store>) -> Arc<dyn Store> {
    match of_process() {
        Some(point) => crashing(store, point),
        None => store,
    }
}

/// The same outbox, with a point before and after each step.
pub fn around_outbox(outbox: Arc<dyn Outbox>) -> Arc<dyn Outbox> {
    match of_process() {
        Some(point) => crashing(outbox, point),
        None => outbox,
    }
}

/// The same broker, with a point before and after each publishing.
pub fn around_publisher(publisher: Arc<dyn Publisher>) -> Arc<dyn Publisher> {
    match of_process() {
        Some(point) => crashing(publisher, point),
        None => publisher,
    }
}

fn crashing<T: ?Sized>(inner: Arc<T>, point: &Arc<CrashPoint>) -> Arc<Crashing<T>> {
    let point = Arc::clone(point);
    Arc::new(Crashing { inner, point })
}

impl<T: ?Sized> Crashing<T> {
    async fn step<R>(&self, name: &str, call: impl Future<Output = R>) -> R {
        self.point.before(name);
        let result = call.await;
        self.point.after(name);
        result
    }
}

impl Store for Crashing<dyn Store> {
    fn submit(&self, write: Write, deadline: Option<Timestamp>, done: WriteDone) {
        let step = step_of(&write);
        self.point.before(step);
        let point = Arc::clone(&self.point);
        let done = Box::new(move |outcome| {
            point.after(step);
            done(outcome);
        });
        self.inner.submit(write, deadline, done);
    }

    fn depth(&self) -> StoreDepth {
        self.inner.depth()
    }
}

#[async_trait]
impl SharedSessions for Crashing<dyn SharedSessions> {
    async fn put_if_absent(&self, session: &SessionRecord) -> Result<Question, Away> {
        self.step("share_session", self.inner.put_if_absent(session))
            .await
    }

    async fn read(&self, id: SessionId) -> Result<Option<String>, Away> {
        self.inner.read(id).await
    }

    async fn write_left(&self, session: &SessionRecord) -> Result<(), Away> {
        self.step("share_left", self.inner.write_left(session))
            .await
    }

    async fn remove(&self, id: SessionId) -> Result<(), Away> {
        self.step("unshare_session", self.inner.remove(id)).await
    }
}

#[async_trait]
impl Questions for Crashing<dyn Questions> {
    async fn pick(&self, wish: &Wish, token: Option<&BearerToken>) -> Result<Question, Away> {
        self.step("find_question", self.inner.pick(wish, token))
            .await
    }
}

#[async_trait]
impl Publisher for Crashing<dyn Publisher> {
    async fn publish(&self, events: &[Announcement]) -> Vec<Published> {
        self.step("publish", self.inner.publish(events)).await
    }
}

#[async_trait]
impl Outbox for Crashing<dyn Outbox> {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Announcement>, Away> {
        self.inner.due(now, limit).await
    }

    async fn mark_sent(&self, events: &[EventId], at: Timestamp) -> Result<(), Away> {
        self.step("mark_sent", self.inner.mark_sent(events, at))
            .await
    }

    async fn put_off(&self, events: &[(EventId, Timestamp)]) -> Result<(), Away> {
        self.step("put_off", self.inner.put_off(events)).await
    }

    async fn remove_sent(&self, before: Timestamp, limit: usize) -> Result<usize, Away> {
        self.step("remove_sent", self.inner.remove_sent(before, limit))
            .await
    }

    async fn backlog(&self) -> Result<OutboxBacklog, Away> {
        self.inner.backlog().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_side_of_a_step_and_how_often_it_is_reached() {
        let third = CrashPoint::parse("after:confirm_match:3").unwrap();

        assert_eq!(
            (third.when, third.step.as_str()),
            (When::After, "confirm_match")
        );
        assert_eq!(third.passes.into_inner(), 2);
        for text in ["", "after", "at:ask", "before:ask:0", "before:ask:x"] {
            assert!(CrashPoint::parse(text).is_none(), "{text}");
        }
    }
}
