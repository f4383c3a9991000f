//! SIGTERM at any moment: whoever was answered finds it stored, whoever comes is told, and it ends.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::join;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::looks::{Ways, shared_neighbours};
use crate::api::crash::{aftermath, people::Person, under_load::variable};
use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// The process has ended by then, whatever does not answer.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

#[actix_rt::test]
async fn what_was_acknowledged_before_an_orderly_stop_is_there_after_it() {
    let backends = [Backends::Embedded, Backends::real()];
    join_all(backends.map(stop_under_load)).await;
}

async fn stop_under_load(backends: Backends) {
    let server = Options::on(backends)
        .with("ASK_BURST", 100_000)
        .with("ASKS_PER_SECOND", 100_000)
        .start()
        .await;
    let person = |index: u64| Person::new(server.user(&format!("person {index}")), 1, index);
    let people: Vec<Person> = (0..24).map(person).collect();
    let screens = join_all(people.iter().map(|person| person.user.connect())).await;

    let stopping = async {
        everybody_was_answered(&people).await;
        let stopped_at = unix_now();
        let (status, took) = server.terminate().await;
        (stopped_at, status, took)
    };
    let acting = join_all(people.iter().map(Person::act));
    let (_, (stopped_at, status, took)) = join(acting, stopping).await;

    assert_eq!(status.code(), Some(0), "{status}");
    assert!(is_in_time(took, ENDS_WITHIN), "{took:?}");
    for screen in &screens {
        screen.expect_close(1001).await;
    }
    let (mut told, mut found_no_port) = (0, 0);
    for person in &people {
        match person.unanswered.borrow().as_deref() {
            None => told += usize::from(person.was_refused()),
            Some(why) if why.starts_with("Failed to connect to host") => found_no_port += 1,
            Some(why) => panic!("{} had no answer: {why}", person.user.id),
        }
    }
    println!("stopped in {took:?}; {told} were told so, {found_no_port} found no port");
    assert_eq!(told + found_no_port, people.len());
    server.restart().await;
    aftermath::check(&server, &people, stopped_at).await;
}

#[actix_rt::test]
async fn what_was_acknowledged_is_there_although_an_orderly_stop_is_cut_short() {
    let rounds: u64 = variable("KILL_ROUNDS").unwrap_or(3);
    let seed: u64 = variable("KILL_SEED").unwrap_or_else(|| rand::rng().random());
    println!("KILL_SEED={seed} KILL_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let options = Options::on(Backends::Embedded).with("ASK_BURST", 100_000);
    let server = options.with("ASKS_PER_SECOND", 100_000).start().await;

    for round in 0..rounds {
        let person = |index: u64| {
            let user = server.user(&format!("round {round} person {index}"));
            Person::new(user, round, random.random())
        };
        let people: Vec<Person> = (0..16).map(person).collect();
        let cut_short_after = Duration::from_millis(random.random_range(0..450));
        let stopping = async {
            everybody_was_answered(&people).await;
            server.tell_to_stop();
            tokio::time::sleep(cut_short_after).await;
            server.kill_while_it_stops();
            unix_now()
        };
        let acting = join_all(people.iter().map(Person::act));
        let (_, killed_at) = join(acting, stopping).await;

        let told = people.iter().filter(|person| person.was_refused()).count();
        println!("killed {cut_short_after:?} after SIGTERM, when {told} were told so");
        server.restart().await;
        aftermath::check(&server, &people, killed_at).await;
    }
}

async fn everybody_was_answered(people: &[Person]) {
    eventually("everybody was answered", async || {
        let writes = |person: &Person| person.facts.borrow().len() >= 4;
        people.iter().all(writes).then_some(())
    })
    .await;
}

/// People who open a connection for each request, one after the other, until they are refused.
const KNOCKERS: usize = 16;

#[actix_rt::test]
async fn whoever_connects_while_it_stops_is_answered_or_refused() {
    let server = Options::on(Backends::Embedded).start().await;
    let token = server.user("ada").token;
    let request = format!(
        "GET {PREFIX}/sessions/active HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    let told = Cell::new(0);
    let knockers = join_all((0..KNOCKERS).map(async |_| {
        let mut unanswered = 0;
        while let Ok(mut stream) = TcpStream::connect(("127.0.0.1", server.api().port())).await {
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            match answer.get(..12) {
                Some(b"HTTP/1.1 503") => told.set(told.get() + 1),
                Some(head) => assert_eq!(head, b"HTTP/1.1 404"),
                None => unanswered += 1,
            }
        }
        unanswered
    }));
    let stopping = async {
        let_pass(Duration::from_millis(300)).await;
        server.terminate().await
    };

    let (unanswered, (status, took)) = join(knockers, stopping).await;

    let told = told.get();
    println!("stopped in {took:?}; {told} requests were told so; not answered: {unanswered:?}");
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(told >= KNOCKERS, "{told}");
    // The kernel may have taken a connection just when the port was closed; the next is refused.
    assert!(unanswered.iter().all(|times| *times <= 1), "{unanswered:?}");
}

#[actix_rt::test]
async fn while_a_request_is_in_flight_a_stopping_server_says_that_it_stops() {
    let stub = Stub::new(Conduct::Hang).await;
    let server = Options::on(Backends::real())
        .with("QUESTION_SERVICE_URL", stub.base())
        .start()
        .await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let screen = pair.first.connect().await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    let answers = RefCell::new(Vec::new());

    let confirming = pair.second.confirm(&pair.match_id, true);
    let stopping = async {
        eventually("the service is asked", async || {
            (!stub.requests().is_empty()).then_some(())
        })
        .await;
        let begun = Instant::now();
        server.tell_to_stop();
        screen.expect_close(1001).await;
        // So many fit into the time that the question service is given, also on a busy machine.
        while answers.borrow().len() < 15 {
            let cleo = server.user("cleo");
            let ask = cleo.ask("Easy", "Array").await;
            assert!(text(ask.expect(503), "detail").contains("stopping"));
            let ready = server.get("/readyz").await;
            assert!(text(ready.expect(503), "detail").contains("stopping"));
            assert_eq!(ready.header("connection"), Some("close"));
            server.get("/livez").await.expect(200);
            answers.borrow_mut().push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun
    };
    let (confirmed, begun) = join(confirming, stopping).await;
    let status = server.end().await;
    let took = begun.elapsed();

    let detail = text(confirmed.expect(503), "detail").to_owned();
    assert!(detail.contains("both confirmations are kept"), "{detail}");
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(is_in_time(took, ENDS_WITHIN), "{took:?}");
    println!("stopped in {took:?}, with a confirmation in flight");
    server.set("QUESTION_SERVICE_URL", "");
    server.restart().await;
    let opened = pair.first.confirm(&pair.match_id, true).await;
    assert!(opened.expect(200)["session_id"].is_string());
}

#[actix_rt::test]
async fn it_ends_in_time_although_nothing_that_it_needs_answers() {
    let neighbours = shared_neighbours();
    let ways = Ways::to(&neighbours);
    ways.open();
    let server = ways.options(neighbours).start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    scenes::pair(&server, "eve", "fay", "Graph")
        .await
        .open_session()
        .await;

    for way in [&ways.postgres, &ways.redis, &ways.rabbitmq] {
        way.freeze();
    }
    let users: Vec<User> = (0..20)
        .map(|it| server.user(&format!("late {it}")))
        .collect();
    let asking = join_all(
        users
            .iter()
            .map(|user| user.asking("Hard", "Graph").try_send()),
    );
    let stopping = async {
        // Their writes are under way by then.
        let_pass(Duration::from_millis(200)).await;
        server.terminate().await
    };
    let (asked, (status, took)) = join(asking, stopping).await;

    println!("stopped in {took:?} while nothing answered");
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(is_in_time(took, ENDS_WITHIN), "{took:?}");
    for reply in asked {
        reply.expect("an answer").expect(503);
    }
    ways.open();
    server.restart().await;
    assert_eq!(ada.state(&ticket).await, "pending");
}
