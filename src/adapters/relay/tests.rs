//! The relay against an outbox and a broker in memory, in virtual time.

mod stopping;

use std::sync::Mutex;

use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::SystemClock;
use domain::testing::{at_ms, session_id};
use ports::{Announcement, OutboxBacklog, Published};

#[derive(Default)]
struct FakeOutbox {
    rows: Mutex<Vec<Row>>,
    is_away: Mutex<bool>,
}

struct Row {
    event: Announcement,
    due: Timestamp,
    sent: Option<Timestamp>,
}

#[derive(Default)]
struct FakeBroker {
    taken: Mutex<Vec<EventId>>,
    answer: Mutex<Vec<(EventId, Published)>>,
    is_away: Mutex<bool>,
    /// The connection breaks whenever this is sent.
    breaks_on: Mutex<Option<EventId>>,
    /// How long one round lasts.
    takes: Mutex<Duration>,
}

fn away() -> Away {
    Away {
        backend: "test",
        reason: "away".into(),
    }
}

impl FakeOutbox {
    fn add(&self, number: u64, session: u64) -> EventId {
        let id = EventId(Uuid::from_u128(u128::from(number)));
        let event = Announcement {
            id,
            session: session_id(session),
            routing_key: "match.found".into(),
            body: format!("{number}"),
            created_at: at_ms(0),
            session_ends_at: at_ms(3_600_000),
            attempts: 0,
        };
        self.rows.lock().unwrap().push(Row {
            event,
            due: at_ms(0),
            sent: None,
        });
        id
    }

    fn unsent(&self) -> usize {
        let rows = self.rows.lock().unwrap();
        rows.iter().filter(|row| row.sent.is_none()).count()
    }

    fn check(&self) -> Result<(), Away> {
        if *self.is_away.lock().unwrap() {
            return Err(away());
        }
        Ok(())
    }
}

#[async_trait]
impl Outbox for FakeOutbox {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Announcement>, Away> {
        self.check()?;
        let rows = self.rows.lock().unwrap();
        let due = rows
            .iter()
            .filter(|row| row.sent.is_none() && row.due <= now);
        Ok(due.take(limit).map(|row| row.event.clone()).collect())
    }

    async fn mark_sent(&self, events: &[EventId], at: Timestamp) -> Result<(), Away> {
        self.check()?;
        for row in self.rows.lock().unwrap().iter_mut() {
            if events.contains(&row.event.id) {
                row.sent = Some(at);
            }
        }
        Ok(())
    }

    async fn put_off(&self, events: &[(EventId, Timestamp)]) -> Result<(), Away> {
        self.check()?;
        for row in self.rows.lock().unwrap().iter_mut() {
            if let Some((_, due)) = events.iter().find(|(id, _)| *id == row.event.id) {
                row.due = *due;
                row.event.attempts += 1;
            }
        }
        Ok(())
    }

    async fn remove_sent(&self, before: Timestamp, limit: usize) -> Result<usize, Away> {
        let mut rows = self.rows.lock().unwrap();
        let held = rows.len();
        let mut left = limit;
        rows.retain(|row| {
            let goes = left > 0 && row.sent.is_some_and(|at| at < before);
            left -= usize::from(goes);
            !goes
        });
        Ok(held - rows.len())
    }

    async fn backlog(&self) -> Result<OutboxBacklog, Away> {
        Ok(OutboxBacklog::default())
    }
}

#[async_trait]
impl Publisher for FakeBroker {
    async fn publish(&self, events: &[Announcement]) -> Vec<Published> {
        if *self.is_away.lock().unwrap() {
            return vec![Published::Unsent(away()); events.len()];
        }
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            sleep(takes).await;
        }
        let breaks_on = *self.breaks_on.lock().unwrap();
        if events.iter().any(|event| Some(event.id) == breaks_on) {
            return vec![Published::Failed(away()); events.len()];
        }
        let answers = self.answer.lock().unwrap();
        let mut taken = self.taken.lock().unwrap();
        let answer = |event: &Announcement| {
            let answer = answers.iter().find(|(id, _)| *id == event.id);
            let answer = answer.map_or(Published::Confirmed, |(_, answer)| answer.clone());
            if answer == Published::Confirmed {
                taken.push(event.id);
            }
            answer
        };
        events.iter().map(answer).collect()
    }
}

struct Scene {
    outbox: Arc<FakeOutbox>,
    broker: Arc<FakeBroker>,
    woken: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn start(fill: impl FnOnce(&FakeOutbox, &FakeBroker)) -> Scene {
    let (outbox, broker) = (Arc::<FakeOutbox>::default(), Arc::<FakeBroker>::default());
    fill(&outbox, &broker);
    let woken = Arc::new(Notify::new());
    let options = RelayOptions {
        retention_ms: 60_000,
        ..RelayOptions::default()
    };
    let clock = Arc::new(SystemClock::starting_at(at_ms(1_000)));
    let relay = OutboxRelay::new(
        outbox.clone(),
        broker.clone(),
        clock,
        woken.clone(),
        options,
    );
    let (stop, stopped) = watch::channel(false);
    Scene {
        outbox,
        broker,
        woken,
        stop,
        task: tokio::spawn(relay.run(stopped)),
    }
}

impl Scene {
    fn taken(&self) -> Vec<EventId> {
        self.broker.taken.lock().unwrap().clone()
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_sent_once_and_in_order() {
    let scene = start(|outbox, _| {
        (0..1_000).for_each(|number| {
            outbox.add(number, number / 2);
        });
    });

    sleep(Duration::from_millis(10)).await;

    let taken = scene.taken();
    assert_eq!(taken.len(), 1_000);
    let place = |number: u64| {
        let id = EventId(Uuid::from_u128(u128::from(number)));
        taken.iter().position(|taken| *taken == id)
    };
    assert!((0..500).all(|session| place(2 * session) < place(2 * session + 1)));
    assert_eq!(scene.outbox.unsent(), 0);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_pause_is_sent_at_once_and_what_follows_together_within_a_tenth_of_a_second()
 {
    let scene = start(|_, _| {});
    // It has just looked by itself.
    sleep(Duration::from_millis(501)).await;

    let first = scene.outbox.add(1, 1);
    scene.woken.notify_one();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(scene.taken(), [first]);
    let second = scene.outbox.add(2, 2);
    scene.woken.notify_one();
    sleep(Duration::from_millis(50)).await;
    let third = scene.outbox.add(3, 3);
    scene.woken.notify_one();
    sleep(Duration::from_millis(45)).await;
    assert_eq!(scene.taken(), [first]);
    sleep(Duration::from_millis(6)).await;

    assert_eq!(scene.taken(), [first, second, third]);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_was_away_for_an_hour_gets_all_within_seconds() {
    let scene = start(|outbox, broker| {
        *broker.is_away.lock().unwrap() = true;
        (0..1_000).for_each(|number| {
            outbox.add(number, number);
        });
    });
    sleep(Duration::from_secs(3_500)).await;
    assert_eq!(scene.outbox.unsent(), 1_000);

    *scene.broker.is_away.lock().unwrap() = false;
    sleep(Duration::from_secs(2)).await;

    assert_eq!(scene.taken().len(), 1_000);
    assert_eq!(scene.outbox.unsent(), 0);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_the_connection_lets_the_others_pass() {
    let scene = start(|outbox, broker| {
        let ids: Vec<EventId> = (0..10).map(|number| outbox.add(number, number)).collect();
        *broker.breaks_on.lock().unwrap() = Some(ids[0]);
    });

    sleep(Duration::from_secs(60)).await;

    assert_eq!(scene.taken().len(), 9);
    assert_eq!(scene.outbox.unsent(), 1);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_queue_takes_waits_and_others_pass() {
    let (first, second) = (EventId(Uuid::from_u128(1)), EventId(Uuid::from_u128(2)));
    let scene = start(|outbox, broker| {
        outbox.add(1, 1);
        outbox.add(2, 2);
        let answers = &mut *broker.answer.lock().unwrap();
        answers.push((first, Published::Unroutable));
    });
    sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.taken(), [second]);
    assert_eq!(scene.outbox.unsent(), 1);

    scene.broker.answer.lock().unwrap().clear();
    sleep(Duration::from_secs(40)).await;

    assert_eq!(scene.taken(), [second, first]);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_queue_took_is_given_up_with_its_session() {
    let scene = start(|outbox, broker| {
        let id = outbox.add(1, 1);
        let answers = &mut *broker.answer.lock().unwrap();
        answers.push((id, Published::Unroutable));
    });

    sleep(Duration::from_secs(3_590)).await;
    assert_eq!(scene.outbox.unsent(), 1);
    sleep(Duration::from_secs(60)).await;

    assert_eq!(scene.outbox.unsent(), 0);
    assert_eq!(scene.taken(), []);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_while_the_store_went_away_is_not_sent_twice() {
    let scene = start(|outbox, _| {
        outbox.add(1, 1);
    });
    sleep(Duration::from_millis(1)).await;
    assert_eq!(scene.taken().len(), 1);

    *scene.outbox.is_away.lock().unwrap() = true;
    sleep(Duration::from_secs(30)).await;
    *scene.outbox.is_away.lock().unwrap() = false;
    let id = scene.outbox.add(2, 2);
    sleep(Duration::from_secs(10)).await;

    assert_eq!(scene.taken().len(), 2);
    assert_eq!(scene.taken()[1], id);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_removed_after_its_retention() {
    let scene = start(|outbox, _| {
        (0..1_200).for_each(|number| {
            outbox.add(number, number);
        });
    });

    sleep(Duration::from_secs(55)).await;
    assert_eq!(scene.outbox.rows.lock().unwrap().len(), 1_200);
    sleep(Duration::from_secs(65)).await;

    assert_eq!(scene.outbox.rows.lock().unwrap().len(), 0);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_only_logged_is_removed_after_the_same_time_and_not_before() {
    let outbox = Arc::<FakeOutbox>::default();
    (0..1_200).for_each(|number| {
        outbox.add(number, number);
    });
    let clock = Arc::new(SystemClock::starting_at(at_ms(1_000)));
    let logged = LoggedOutbox::new(outbox.clone(), clock, 60_000);
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(logged.run(stopped));

    sleep(Duration::from_secs(55)).await;
    assert_eq!(outbox.unsent(), 1_200);
    sleep(Duration::from_secs(65)).await;

    assert_eq!(outbox.rows.lock().unwrap().len(), 0);
    stop.send_replace(true);
    task.await.unwrap();
}
