//! The relay between an outbox and a real RabbitMQ that is restarted meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use matchmaker::adapters::{OutboxRelay, RelayOptions, SystemClock};
use matchmaker::domain::{EventId, Timestamp};
use matchmaker::ports::{Announcement, Away, Outbox, OutboxBacklog};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::rabbitmq::{announcement, publisher_to};
use crate::servers::{Collaboration, RabbitMq};

/// An outbox in memory: events, when each is due, and which were sent.
#[derive(Default)]
struct Rows(Mutex<BTreeMap<u64, Row>>);

struct Row {
    event: Announcement,
    due: Timestamp,
    is_sent: bool,
}

impl Rows {
    fn add(&self, number: u64) {
        let row = Row {
            event: announcement(number),
            due: Timestamp::from_ms(0),
            is_sent: false,
        };
        self.0.lock().expect("not poisoned").insert(number, row);
    }

    fn unsent(&self) -> usize {
        let rows = self.0.lock().expect("not poisoned");
        rows.values().filter(|row| !row.is_sent).count()
    }

    fn each(&self, events: &[EventId], mut change: impl FnMut(&mut Row)) {
        let mut rows = self.0.lock().expect("not poisoned");
        let known = rows.values_mut();
        known
            .filter(|row| events.contains(&row.event.id))
            .for_each(&mut change);
    }
}

#[async_trait]
impl Outbox for Rows {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Announcement>, Away> {
        let rows = self.0.lock().expect("not poisoned");
        let due = rows.values().filter(|row| !row.is_sent && row.due <= now);
        Ok(due.take(limit).map(|row| row.event.clone()).collect())
    }

    async fn mark_sent(&self, events: &[EventId], _: Timestamp) -> Result<(), Away> {
        self.each(events, |row| row.is_sent = true);
        Ok(())
    }

    async fn put_off(&self, events: &[(EventId, Timestamp)]) -> Result<(), Away> {
        for (event, due) in events {
            self.each(&[*event], |row| {
                row.due = *due;
                row.event.attempts += 1;
            });
        }
        Ok(())
    }

    async fn remove_sent(&self, _: Timestamp, _: usize) -> Result<usize, Away> {
        Ok(0)
    }

    async fn backlog(&self) -> Result<OutboxBacklog, Away> {
        Ok(OutboxBacklog::default())
    }
}

/// Collects bodies until all `count` have come, connecting again whenever the broker went away.
async fn collect(url: String, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        if let Ok(mut collaboration) = Collaboration::listen(&url).await {
            while seen.len() < count
                && let Some((_, body)) = collaboration.next().await
            {
                seen.insert(body.clone());
                bodies.push(body);
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_gets_every_event_of_a_run_in_which_the_broker_was_restarted_twice() {
    const EVENTS: u64 = 600;
    let server = RabbitMq::own();
    let place = server.vhost();
    let (rows, woken) = (Arc::<Rows>::default(), Arc::new(Notify::new()));
    let publisher = Arc::new(publisher_to(&place.url()));
    let clock = Arc::new(SystemClock::new());
    let options = RelayOptions::default();
    let relay = OutboxRelay::new(
        rows.clone(),
        publisher.clone(),
        clock,
        woken.clone(),
        options,
    );
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(relay.run(stopped));
    // Nobody listens yet: the first ones are unroutable for a while.
    (0..20).for_each(|number| rows.add(number));
    woken.notify_one();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(rows.unsent(), 20);
    let collected = tokio::spawn(collect(place.url(), EVENTS as usize));

    for number in 20..EVENTS {
        rows.add(number);
        woken.notify_one();
        match number {
            200 => server.kill_settled(),
            250 => server.restart().await,
            400 => server.stop(),
            450 => server.restart().await,
            _ => sleep(Duration::from_millis(2)).await,
        }
    }

    let bodies = timeout(Duration::from_secs(60), collected).await;
    let bodies = bodies.expect("all come in time").expect("no panic");
    let expected: BTreeSet<String> = (0..EVENTS)
        .map(|number| announcement(number).body)
        .collect();
    assert_eq!(bodies.into_iter().collect::<BTreeSet<_>>(), expected);
    for _ in 0..100 {
        if rows.unsent() == 0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows.unsent(), 0);
    stop.send_replace(true);
    running.await.expect("no panic");
    publisher.close().await;
}
