//! More asks than the processors can serve. No setting limits them: the server has to notice.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::probe::percentiles;
use crate::harness::*;

/// Connections, each of a user of its own with a bucket of its own.
const PEOPLE: usize = 1_000;
/// Who waits longer than this for an answer has gone.
const PATIENT_FOR: Duration = Duration::from_secs(1);

/// One person, who asks and withdraws in turn on one connection.
struct Person {
    raw: Raw,
    user: User,
    topic: usize,
    ticket: Option<String>,
}

/// What came of the asks.
#[derive(Debug, Default)]
struct Outcome {
    /// Taken within [`PATIENT_FOR`] of the moment at which they were to be sent.
    good: usize,
    late: usize,
    /// How long each refusal took.
    refusals: Vec<Duration>,
}

impl Person {
    async fn new(server: &Server, topic: usize) -> Self {
        Self {
            raw: Raw::connect(server.api()).await,
            user: server.user(&format!("user-{topic}")),
            topic,
            ticket: None,
        }
    }

    /// Sends the next request and awaits its answer; `due` is when it was to be sent.
    async fn act(&mut self, due: Instant, outcome: &RefCell<Outcome>) {
        let asks = self.ticket.is_none();
        let (method, path, body) = match self.ticket.take() {
            None => {
                let body = format!(r#"{{"difficulty":"Easy","topic":"t{}"}}"#, self.topic);
                ("POST", "/request".to_owned(), body)
            }
            Some(ticket) => ("DELETE", format!("/request/{ticket}"), String::new()),
        };
        let (token, length) = (&self.user.token, body.len());
        let request = format!(
            "{method} {PREFIX}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.raw.send(request).await;
        let reply = self.raw.reply().await.expect("an answer");
        if !asks {
            return;
        }
        let took = due.elapsed();
        let mut outcome = outcome.borrow_mut();
        match reply.status {
            200 => {
                self.ticket = Some(text(&reply.json, "id").to_owned());
                match took <= PATIENT_FOR {
                    true => outcome.good += 1,
                    false => outcome.late += 1,
                }
            }
            // A ticket whose withdrawal was refused.
            400 => {}
            status => {
                assert!([429, 503].contains(&status), "{}", reply.text);
                assert!(reply.header("retry-after").is_some());
                outcome.refusals.push(took);
            }
        }
    }
}

/// `rate` requests a second for `lasting`, each by whoever is free, at its own moment.
async fn offer(people: &mut [Person], rate: f64, lasting: Duration) -> Outcome {
    let outcome = RefCell::new(Outcome::default());
    let next = Cell::new(0u32);
    let start = Instant::now();
    join_all(people.iter_mut().map(async |person| {
        loop {
            let due = Duration::from_secs_f64(f64::from(next.replace(next.get() + 1)) / rate);
            if due > lasting || start.elapsed() > lasting {
                return;
            }
            let_pass(due.saturating_sub(start.elapsed())).await;
            person.act(start + due, &outcome).await;
        }
    }))
    .await;
    outcome.into_inner()
}

/// For the campaign, since it needs the machine for itself.
#[actix_rt::test]
#[ignore = "takes a minute, with nothing else on the machine: tests/campaign"]
async fn five_times_what_the_processors_can_serve_does_not_stop_the_service() {
    rlimit::increase_nofile_limit(8_192).expect("the limit of open files can be asked for");
    let server = Server::with("ASK_BURST", 1_000_000).start().await;
    let mut people = Vec::new();
    for topic in 0..PEOPLE {
        people.push(Person::new(&server, topic).await);
    }
    let seconds = Duration::from_secs(5);
    let few = offer(&mut people[..32], f64::INFINITY, seconds).await;
    let served = (few.good + few.late) as f64 / seconds.as_secs_f64();
    let memory = server.memory();

    // Each ask is followed by a withdrawal.
    let lasting = Duration::from_secs(30);
    let over = offer(&mut people, 10.0 * served, lasting).await;

    let goodput = over.good as f64 / lasting.as_secs_f64();
    let [p50, p99, longest] = percentiles(over.refusals.clone(), [50, 99, 100]);
    let grown = server.memory().peak.saturating_sub(memory.now);
    println!(
        "{served:.0} asks/s alone; five times as many: {goodput:.0}/s in time, {} late, {} refused \
         after {p50:?} (median), {p99:?} (99 of 100), {longest:?} (longest); {} KiB more at most; \
         the throttle was reached {} times",
        over.late,
        over.refusals.len(),
        grown / 1_024,
        server.reached("asks_under_way").await,
    );
    let ada = server.user("ada");
    let begun = Instant::now();
    let ticket = ada.open_ticket("Hard", "Array").await;
    ada.cancel(&ticket).await.expect(200);
    assert!(is_in_time(begun.elapsed(), Duration::from_millis(500)));
    assert!(
        goodput >= 0.5 * served,
        "{goodput:.0} of {served:.0} asks/s"
    );
    assert!(grown < 128 * 1024 * 1024, "{grown} bytes");
}
