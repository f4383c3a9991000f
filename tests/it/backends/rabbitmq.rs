//! The publisher on a real RabbitMQ.

use std::time::{Duration, Instant};

use matchmaker::adapters::{RabbitOptions, RabbitPublisher};
use matchmaker::ports::{Announcement, Published, Publisher};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::subject::{at_ms, event_id, session_id};
use crate::harness::is_in_time;
use crate::servers::{self, Collaboration, RabbitMq};

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn publisher_to(url: &str) -> RabbitPublisher {
    let options = RabbitOptions {
        url: url.to_owned(),
        root_certificates: None,
    };
    RabbitPublisher::new(&options, Handle::current()).expect("a URL of RabbitMQ")
}

pub(super) fn announcement(number: u64) -> Announcement {
    Announcement {
        id: event_id(number),
        session: session_id(number),
        routing_key: "match.found".into(),
        body: format!(r#"{{"event_type":"match.found","number":{number}}}"#),
        created_at: at_ms(1_762_756_823_999),
        session_ends_at: at_ms(i64::MAX),
        attempts: 0,
    }
}

/// Publishes until that works, as the relay does.
async fn publish_until_confirmed(publisher: &RabbitPublisher, event: &Announcement) {
    let began = Instant::now();
    loop {
        let published = publisher.publish(std::slice::from_ref(event)).await;
        if published == [Published::Confirmed] {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{published:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Publishes until that fails; how long the failure took.
async fn publish_until_failed(publisher: &RabbitPublisher, event: &Announcement) -> Duration {
    let since = Instant::now();
    loop {
        let began = Instant::now();
        let published = publisher.publish(std::slice::from_ref(event)).await;
        if has_failed(&published[0]) {
            return began.elapsed();
        }
        assert!(since.elapsed() < PATIENCE, "{published:?}");
    }
}

fn assert_failed(published: &[Published]) {
    assert!(published.iter().all(has_failed), "{published:?}");
}

fn has_failed(published: &Published) -> bool {
    matches!(published, Published::Failed(_) | Published::Unsent(_))
}

#[tokio::test]
async fn the_collaboration_service_gets_exactly_what_the_contract_says() {
    let place = servers::rabbitmq().vhost();
    let publisher = publisher_to(&place.url());
    publisher.connect().await.expect("RabbitMQ answers");
    let mut collaboration = Collaboration::listen(&place.url()).await.expect("it is up");

    let published = publisher.publish(&[announcement(1)]).await;

    assert_eq!(published, [Published::Confirmed]);
    let (properties, body) = collaboration.next().await.expect("it arrives");
    assert_eq!(body, announcement(1).body);
    let text = |it: &Option<lapin::types::ShortString>| it.as_ref().map(ToString::to_string);
    assert_eq!(
        text(properties.content_type()).as_deref(),
        Some("application/json")
    );
    let id = event_id(1).to_string();
    assert_eq!(text(properties.message_id()), Some(id));
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(*properties.timestamp(), Some(1_762_756_823));
    publisher.close().await;
    assert_failed(&publisher.publish(&[announcement(2)]).await);
}

#[tokio::test]
async fn what_no_queue_takes_is_told_and_what_is_in_flight_together_keeps_its_order() {
    let place = servers::rabbitmq().vhost();
    let publisher = publisher_to(&place.url());
    let mut other = announcement(2);
    other.routing_key = "match.other".into();

    let unroutable = publisher.publish(&[announcement(1), other.clone()]).await;
    let mut collaboration = Collaboration::listen(&place.url()).await.expect("it is up");
    let mut events: Vec<Announcement> = (0..1_000).map(announcement).collect();
    events[500] = other;
    let began = Instant::now();
    let published = publisher.publish(&events).await;
    eprintln!("1,000 confirmed in {:?}", began.elapsed());

    assert_eq!(unroutable, [Published::Unroutable, Published::Unroutable]);
    for (number, published) in published.iter().enumerate() {
        let expected = match number {
            500 => Published::Unroutable,
            _ => Published::Confirmed,
        };
        assert_eq!(*published, expected, "{number}");
    }
    let expected: Vec<String> = (0..1_000)
        .filter(|number| *number != 500)
        .map(|number| announcement(number).body)
        .collect();
    assert_eq!(collaboration.bodies(999).await, expected);
    assert_eq!(publisher.publish(&[]).await, []);
}

#[tokio::test]
async fn a_broker_that_is_not_there_or_never_answers_keeps_nobody_waiting() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent_port = silent.local_addr().expect("it is bound").port();
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let closed_port = closed.local_addr().expect("it is bound").port();
    drop(closed);

    let nowhere = publisher_to(&format!("amqp://127.0.0.1:{closed_port}"));
    let began = Instant::now();
    assert_failed(&nowhere.publish(&[announcement(1), announcement(2)]).await);
    assert!(nowhere.connect().await.is_err());
    assert!(is_in_time(began.elapsed(), Duration::from_secs(2)));

    let hangs = publisher_to(&format!("amqp://127.0.0.1:{silent_port}"));
    let began = Instant::now();
    assert_failed(&hangs.publish(&[announcement(1)]).await);
    assert!(is_in_time(began.elapsed(), Duration::from_secs(5)));
    // The attempt is given up as a whole: a thread would wait for ever at the other end of the line.
    let (mut taken, _) = silent.accept().await.expect("somebody has connected");
    let mut said = Vec::new();
    let hung_up = timeout(Duration::from_secs(2), taken.read_to_end(&mut said)).await;
    hung_up.expect("it is hung up").expect("in order");
    assert_eq!(said, b"AMQP\x00\x00\x09\x01");
    let events = [announcement(1)];
    let again = hangs.publish(&events);
    let (again, taken) = futures_util::future::join(again, silent.accept()).await;
    assert_failed(&again);
    drop(taken);
    let began = Instant::now();
    hangs.close().await;
    assert!(is_in_time(began.elapsed(), Duration::from_secs(4)));
}

#[tokio::test]
async fn a_wrong_password_is_told_without_telling_it() {
    let place = servers::rabbitmq().vhost();
    let url = place.url().replace(servers::PASSWORD, "wrong-secret");
    let publisher = publisher_to(&url);

    let refused = publisher.connect().await.expect_err("it is refused");

    assert!(!refused.to_string().contains("wrong-secret"), "{refused}");
    for url in ["", "http://u:secret@h", "amqp://u:secret@h:port"] {
        let options = RabbitOptions {
            url: url.to_owned(),
            root_certificates: None,
        };
        let refused = RabbitPublisher::new(&options, Handle::current());
        let error = refused.err().expect("refused").to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(!format!("{options:?}").contains("secret"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_was_killed_frozen_or_full_is_used_again_by_itself() {
    let server = RabbitMq::own();
    let place = server.vhost();
    let publisher = publisher_to(&place.url());
    publisher.connect().await.expect("RabbitMQ answers");
    let collaboration = Collaboration::listen(&place.url()).await.expect("it is up");
    drop(collaboration);
    publish_until_confirmed(&publisher, &announcement(1)).await;

    server.kill();
    assert_failed(&publisher.publish(&[announcement(2)]).await);
    server.restart().await;
    // A broker that was killed may have forgotten a queue that it had only just been told of, with
    // what was in it; the real consumer declares its queue whenever it connects.
    let collaboration = Collaboration::listen(&place.url()).await.expect("it is up");
    drop(collaboration);
    publish_until_confirmed(&publisher, &announcement(2)).await;

    server.has_full_memory(true);
    // The broker blocks its connections a moment after the alarm.
    let took = publish_until_failed(&publisher, &announcement(3)).await;
    assert!(is_in_time(took, Duration::from_secs(7)));
    let began = Instant::now();
    assert_failed(&publisher.publish(&[announcement(3)]).await);
    assert!(
        is_in_time(began.elapsed(), Duration::from_secs(1)),
        "it is known"
    );
    server.has_full_memory(false);
    publish_until_confirmed(&publisher, &announcement(3)).await;

    server.pause();
    let began = Instant::now();
    assert_failed(&publisher.publish(&[announcement(4)]).await);
    assert!(is_in_time(began.elapsed(), Duration::from_secs(7)));
    assert_failed(&publisher.publish(&[announcement(4)]).await);
    assert!(is_in_time(began.elapsed(), Duration::from_secs(12)));
    server.resume();
    publish_until_confirmed(&publisher, &announcement(4)).await;

    let mut collaboration = Collaboration::listen(&place.url()).await.expect("it is up");
    let mut bodies = Vec::new();
    while bodies.last() != Some(&announcement(4).body) {
        bodies.extend(collaboration.bodies(1).await);
    }
    for number in 2..=4 {
        assert!(bodies.contains(&announcement(number).body), "{bodies:?}");
    }
    publisher.close().await;
}
