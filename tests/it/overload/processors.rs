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
    api: Api,
    /// Connected with the first request: the server does not wait long for one.
    raw: Option<Raw>,
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
    fn new(server: &Server, topic: usize) -> Self {
        Self {
            api: server.api().clone(),
            raw: None,
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
        let mut raw = match self.raw.take() {
            Some(raw) => raw,
            None => Raw::connect(&self.api).await,
        };
        raw.send(request).await;
        let reply = raw.reply().await.expect("an answer");
        if reply.header("connection") != Some("close") {
            self.raw = Some(raw);
        }
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

/// `rate` requests a second for `lasting`, at moments that are fixed in advance, each sent by whoever is
/// free; gives how many nobody was free for as well.
async fn offer(people: &mut [Person], rate: f64, lasting: Duration) -> (Outcome, u64) {
    let outcome = RefCell::new(Outcome::default());
    let (next, unsent) = (Cell::new(0u64), Cell::new(0u64));
    let start = Instant::now();
    join_all(people.iter_mut().map(async |person| {
        loop {
            // What is due by now and was not sent is not made up for: those who wanted it have gone.
            let now = (start.elapsed().as_secs_f64() * rate) as u64;
            unsent.set(unsent.get() + now.saturating_sub(next.get()));
            let turn = next.get().max(now);
            next.set(turn + 1);
            let due = Duration::from_secs_f64(turn as f64 / rate);
            if due > lasting {
                return;
            }
            let_pass(due.saturating_sub(start.elapsed())).await;
            person.act(start + due, &outcome).await;
        }
    }))
    .await;
    (outcome.into_inner(), unsent.get())
}

/// For the campaign, since it needs the machine for itself.
#[actix_rt::test]
#[ignore = "takes most of a minute, with nothing else on the machine: tests/campaign"]
async fn five_times_what_the_processors_can_serve_does_not_stop_the_service() {
    rlimit::increase_nofile_limit(8_192).expect("the limit of open files can be asked for");
    let server = Server::with("ASK_BURST", 1_000_000).start().await;
    let mut people: Vec<Person> = (0..PEOPLE)
        .map(|topic| Person::new(&server, topic))
        .collect();
    let seconds = Duration::from_secs(5);
    let (few, _) = offer(&mut people[..32], 1e6, seconds).await;
    let served = (few.good + few.late) as f64 / seconds.as_secs_f64();
    let memory = server.memory();

    // Each ask is followed by a withdrawal.
    let lasting = Duration::from_secs(30);
    let (over, unsent) = offer(&mut people, 10.0 * served, lasting).await;

    let goodput = over.good as f64 / lasting.as_secs_f64();
    let [p50, p99, longest] = percentiles(over.refusals.clone(), [50, 99, 100]);
    let grown = server.memory().peak.saturating_sub(memory.now);
    println!(
        "{served:.0} asks/s alone; five times as many: {goodput:.0}/s in time, {} late, {} refused \
         after {p50:?} (median), {p99:?} (99 of 100), {longest:?} (longest); {} KiB more at most; \
         {unsent} not sent; the throttle was reached {} times, and {} requests hung",
        over.late,
        over.refusals.len(),
        grown / 1_024,
        server.reached("asks_under_way").await,
        server
            .metric("matchmaker_guarantee_breaches_total{guarantee=\"g10_no_hang\"}")
            .await,
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
