//! The outbox and the broker under the real relay, ill by seed, and what must be true of what they
//! are told: every session is announced under one id, after it is stored and can be read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use matchmaker::domain::{EventId, SessionRecord, Timestamp};
use matchmaker::ports::{Announcement, Away, Outbox, OutboxBacklog, Published, Publisher};
use tokio::time::sleep;

use super::neighbours::{Course, Neighbour};
use super::rows::Rows;
use crate::simulation::referee::Conditions;

/// No queue takes an announcement only as long before its session ends, in milliseconds: otherwise
/// it might be given up.
const ROUTABLE_BEFORE_MS: u64 = 40_000;

/// Announcements in the order in which they were stored.
#[derive(Debug, Default)]
pub struct Announced {
    rows: Vec<Row>,
    /// What has reached the broker, in that order, once or more.
    taken: Vec<EventId>,
}

#[derive(Debug)]
struct Row {
    event: Announcement,
    due: Timestamp,
}

impl Announced {
    /// A session is stored, and its announcement with it.
    pub fn add(&mut self, session: &SessionRecord, event: EventId) {
        let event = Announcement {
            id: event,
            session: session.id,
            routing_key: "match.found".to_owned(),
            body: session.id.to_string(),
            created_at: session.opened_at,
            session_ends_at: session.ends_at,
            attempts: 0,
        };
        let due = session.opened_at;
        self.rows.push(Row { event, due });
    }

    /// How many reached the broker, and how many of them it had before.
    pub fn sent(&self) -> [usize; 2] {
        let all = self.taken.len();
        let again = |at: &usize| self.taken[..*at].contains(&self.taken[*at]);
        [all, (0..all).filter(again).count()]
    }
}

impl Rows {
    /// Up to `limit` that are due at `now`, as the stores give them.
    fn due(&self, now: Timestamp, limit: usize) -> Vec<Announcement> {
        let rows = self.announced.rows.iter();
        let unsent = |row: &&Row| self.db.outbox[&row.event.id].is_unsent();
        let mut due: Vec<&Row> = rows.filter(unsent).filter(|row| row.due <= now).collect();
        due.sort_by_key(|row| row.due);
        due.truncate(limit);
        let mut due: Vec<Announcement> = due.into_iter().map(|row| row.event.clone()).collect();
        let place = |id| {
            self.announced
                .rows
                .iter()
                .position(|row| row.event.id == id)
        };
        due.sort_by_key(|event| place(event.id));
        due
    }

    fn mark_sent(&mut self, events: &[EventId], at: Timestamp) {
        for event in events {
            let taken = self.announced.taken.contains(event);
            assert!(taken, "G5: marked as sent, and the broker has not got it");
            self.db.mark_sent(Conditions::OF_THE_STORES, *event, at);
        }
    }

    fn put_off(&mut self, events: &[(EventId, Timestamp)]) {
        for (event, due) in events {
            let unsent = self.db.outbox[event].is_unsent();
            let mut rows = self.announced.rows.iter_mut();
            let row = rows.find(|row| unsent && row.event.id == *event);
            if let Some(row) = row {
                row.due = *due;
                row.event.attempts += 1;
            }
        }
    }

    fn remove_sent(&mut self, before: Timestamp, limit: usize) -> usize {
        let events: Vec<EventId> = self.db.outbox.keys().copied().collect();
        let conditions = Conditions::OF_THE_STORES;
        let removed = events
            .into_iter()
            .map(|event| self.db.remove_sent(conditions, event, before))
            .filter(|removed| *removed);
        removed.take(limit).count()
    }

    /// The broker has got `event`.
    fn take(&mut self, event: &Announcement) {
        let row = self.db.sessions.get(&event.session);
        let row = row.expect("G5: what is announced is stored");
        assert_eq!(row.event, event.id, "G5: announced under another id");
        assert_eq!(event.body, event.session.to_string(), "G5: other bytes");
        let readable = self.shared.get(&event.session) == Some(&row.record.question);
        assert!(readable, "G5: announced before it can be read");
        self.announced.taken.push(event.id);
    }

    /// Whether every session has been announced, and nothing waits.
    pub fn all_announced(&self) -> bool {
        let taken = |event| self.announced.taken.contains(event);
        let mut sessions = self.db.sessions.values();
        sessions.all(|row| taken(&row.event)) && self.db.unsent().next().is_none()
    }
}

/// The store's, as the relay sees it.
pub struct IllOutbox(pub Arc<Neighbour>);

#[async_trait]
impl Outbox for IllOutbox {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Announcement>, Away> {
        let due = self.0.call(|world| world.state().rows.due(now, limit));
        due.await
    }

    async fn mark_sent(&self, events: &[EventId], at: Timestamp) -> Result<(), Away> {
        let mark = self.0.call(|world| {
            let mut state = world.state();
            state.note(&format!("outbox: sent {events:?}"));
            state.rows.mark_sent(events, at);
        });
        mark.await
    }

    async fn put_off(&self, events: &[(EventId, Timestamp)]) -> Result<(), Away> {
        let put_off = self.0.call(|world| world.state().rows.put_off(events));
        put_off.await
    }

    async fn remove_sent(&self, before: Timestamp, limit: usize) -> Result<usize, Away> {
        let remove = self.0.call(|world| {
            let mut state = world.state();
            state.rows.remove_sent(before, limit)
        });
        remove.await
    }

    async fn backlog(&self) -> Result<OutboxBacklog, Away> {
        Ok(OutboxBacklog::default())
    }
}

pub struct IllBroker(pub Arc<Neighbour>);

#[async_trait]
impl Publisher for IllBroker {
    async fn publish(&self, events: &[Announcement]) -> Vec<Published> {
        let course = self.0.course();
        sleep(Duration::from_millis(course.ms)).await;
        events
            .iter()
            .map(|event| self.take(event, course))
            .collect()
    }
}

impl IllBroker {
    /// What becomes of one of them.
    fn take(&self, event: &Announcement, course: Course) -> Published {
        let mut chance = self.0.chance();
        let mut state = self.0.world.state();
        let ill = !state.healed && chance.percent(self.0.world.plan.faults_percent);
        let routable_from = state.server_now().plus_ms(ROUTABLE_BEFORE_MS);
        if ill && course.says && event.session_ends_at > routable_from && chance.percent(50) {
            state.count("unroutable");
            return Published::Unroutable;
        }
        let arrives = if ill {
            chance.percent(50)
        } else {
            course.does || course.says
        };
        let heard = course.says && !ill;
        state.note(&format!("broker: {} {arrives} {heard}", event.id));
        if arrives {
            state.rows.take(event);
        }
        match heard {
            true => Published::Confirmed,
            false => Published::Failed(self.0.away()),
        }
    }
}
