//! Clients that do not read what they are sent.

use std::time::{Duration, Instant};

use super::probe::Probe;
use crate::harness::*;

/// How long a client may take nothing, in these tests.
const UNREAD: Duration = Duration::from_secs(2);
/// What one client that does not read may cost the server, in bytes: what waits for it in the server,
/// twice over for the allocator.
const BYTES_EACH_MAX: u64 = 128 * 1024;
/// Several people of one topic each, whose sockets are told of matches that others decline.
struct Told<'a> {
    server: &'a Server,
    users: Vec<User>,
    rounds: usize,
}

impl<'a> Told<'a> {
    async fn new(server: &'a Server, count: usize) -> Self {
        let users: Vec<User> = (0..count)
            .map(|number| server.user(&format!("told-{number}")))
            .collect();
        join_all(users.iter().enumerate().map(async |(number, user)| {
            user.open_ticket("Easy", &Self::topic(number)).await;
        }))
        .await;
        Self {
            server,
            users,
            rounds: 0,
        }
    }

    fn topic(number: usize) -> String {
        // Events get no longer than with 64 characters of 4 bytes, and partners with long names.
        format!("{}{number}", "𝕥".repeat(62))
    }

    /// Two events more for each of them.
    async fn tell(&mut self) {
        self.rounds += 1;
        let name = format!("{:x<240}{}", "somebody-", self.rounds);
        join_all((0..self.users.len()).map(async |number| {
            let partner = self.server.user(&format!("{name}-{number}"));
            let ticket = partner.open_ticket("Easy", &Self::topic(number)).await;
            let match_id = partner.matched(&ticket).await;
            partner.confirm(&match_id, false).await.expect(200);
        }))
        .await;
    }
}

/// The socket of somebody who will not read much.
async fn narrow(server: &Server, user: &User) -> Raw {
    let mut raw = Raw::connect_narrow(server.api()).await;
    raw.open_socket(user).await;
    raw
}

async fn sockets(server: &Server) -> usize {
    server.metric("matchmaker_sockets_open").await as usize
}

#[actix_rt::test]
async fn two_hundred_who_never_read_are_gone_in_time_cost_little_and_nobody_else_notices() {
    let server = Server::with("UNREAD_SECONDS", UNREAD.as_secs());
    let server = server.with("ASK_BURST", 100_000).start().await;
    let ada = server.user("ada");
    let (screen, ticket) = (ada.connect().await, ada.open_ticket("Hard", "Array").await);
    let mut told = Told::new(&server, 10).await;
    let before = server.memory();
    let users = told.users.clone();
    let mut deaf = Vec::new();
    for user in &users {
        deaf.extend(join_all((0..20).map(|_| narrow(&server, user))).await);
    }
    // Half of them take one byte a second, which opens no window worth mentioning.
    let sipping: Vec<_> = deaf.drain(..100).map(sip).collect();
    assert_eq!(sockets(&server).await, 201);
    let probe = Probe::start(&server, &ticket, &ada).await;

    let begun = Instant::now();
    let mut full = None;
    while sockets(&server).await > 1 {
        // A few fill the buffers of the client; the clock runs from the last that it could take.
        told.tell().await;
        if told.rounds == 6 {
            full = Some(Instant::now());
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "still there");
    }

    let took = full.map_or(Duration::ZERO, |full| full.elapsed());
    let p99 = probe.end("while 200 did not read");
    let peak = server.memory().peak.saturating_sub(before.now);
    println!(
        "gone {took:?} after their buffers were full, {} events each; {} KiB more at most",
        told.rounds * 2,
        peak / 1024
    );
    assert!(
        is_in_time(took, UNREAD + Duration::from_secs(1)),
        "{took:?}"
    );
    assert!(is_in_time(p99, Duration::from_millis(500)), "{p99:?}");
    assert!(peak < 200 * BYTES_EACH_MAX, "{peak} bytes");
    assert_eq!(server.metric("matchmaker_socket_users").await, 1.0);
    eventually("the kernel's sockets are closed as well", async || {
        (server.connections() < 100).then_some(())
    })
    .await;
    server.user("bob").ask("Hard", "Array").await.expect(200);
    screen.match_with("bob").await;
    drop((deaf, sipping));
}

/// Takes one byte a second until the end.
fn sip(mut raw: Raw) -> actix_rt::task::JoinHandle<()> {
    actix_rt::spawn(async move {
        while raw.take(1).await.is_some() {
            let_pass(Duration::from_secs(1)).await;
        }
    })
}

#[actix_rt::test]
async fn one_who_pings_and_never_reads_the_pongs_is_gone_in_time() {
    let server = Server::with("UNREAD_SECONDS", 1).start().await;
    let mut raw = narrow(&server, &server.user("ada")).await;
    let ping = frame(true, 9, &[b'x'; 125]);
    let begun = Instant::now();

    // As many as anybody may send; the pongs fill what the client does not empty.
    let mut sent = 0;
    while sockets(&server).await > 0 {
        raw.send(&ping).await;
        sent += 1;
        if sent > 15 {
            let_pass(Duration::from_millis(110)).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{sent} pings");
    }

    assert_eq!(server.reached("socket_messages").await, 0.0);
}

#[actix_rt::test]
async fn one_who_is_sent_nothing_but_pings_and_never_reads_is_gone_after_the_silence() {
    let server = Server::with("SOCKET_PING_SECONDS", "0.2");
    let server = server.with("SOCKET_SILENCE_SECONDS", 1).start().await;
    let raw = narrow(&server, &server.user("ada")).await;
    let begun = Instant::now();

    within(Duration::from_secs(2), "it is gone", async || {
        (sockets(&server).await == 0).then_some(())
    })
    .await;

    assert!(begun.elapsed() > Duration::from_millis(700));
    drop(raw);
}

#[actix_rt::test]
#[ignore = "takes a quarter of a minute: tests/campaign"]
async fn one_who_reads_too_slowly_for_the_events_is_closed_with_1013_and_costs_little() {
    // To the kernel, one who reads through so narrow a window may look as if nothing were read.
    let server = Server::with("UNREAD_SECONDS", 300);
    let server = server.with("ASK_BURST", 100_000).start().await;
    let mut told = Told::new(&server, 1).await;
    let mut slow = narrow(&server, &told.users[0].clone()).await;
    let before = server.memory();
    let begun = Instant::now();

    // A quarter of what comes: the kernel sees somebody who reads.
    while server.metric("matchmaker_slow_sockets_closed_total").await < 1.0 {
        told.tell().await;
        slow.take(200).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", told.rounds);
    }

    let peak = server.memory().peak.saturating_sub(before.now);
    let mut left = 0;
    let mut last = Vec::new();
    while let Some(some) = slow.take(4_096).await {
        left += some.len();
        last = [last, some].concat();
        last.drain(..last.len().saturating_sub(4));
    }
    println!(
        "too slow after {} events, {left} bytes left for it",
        told.rounds * 2
    );
    assert_eq!(last, [0x88, 2, 0x03, 0xf5], "closed with 1013");
    assert!(left < 100_000, "{left} bytes waited for it");
    assert!(peak < 8 * 1024 * 1024, "{peak} bytes");
    assert_eq!(server.reached("socket_events").await, 1.0);
    assert_eq!(sockets(&server).await, 0);
}

#[actix_rt::test]
async fn a_server_that_stops_does_not_wait_for_those_who_do_not_read() {
    stops_beside_those_who_do_not_read(10).await;
}

/// So much that nothing but the kernel can still end these sockets: their actors are not run any more.
#[actix_rt::test]
#[ignore = "takes a quarter of a minute: tests/campaign"]
async fn a_server_that_stops_does_not_wait_for_those_who_have_not_read_for_long() {
    stops_beside_those_who_do_not_read(150).await;
}

async fn stops_beside_those_who_do_not_read(rounds: usize) {
    let server = Server::with("ASK_BURST", 100_000).start().await;
    let mut told = Told::new(&server, 2).await;
    let users = told.users.clone();
    let deaf = join_all((0..40).map(|number| narrow(&server, &users[number % 2]))).await;
    for _ in 0..rounds {
        told.tell().await;
    }
    assert_eq!(sockets(&server).await, 40);

    let (status, took) = server.terminate().await;

    println!("stopped after {took:?} beside 40 who did not read");
    assert!(status.success(), "{status}");
    assert!(is_in_time(took, Duration::from_secs(5)), "{took:?}");
    assert!(!server.output().contains("stopping took longer"));
    drop(deaf);
}

/// With the times that are promised, rather than short ones.
#[actix_rt::test]
#[ignore = "takes half a minute: tests/campaign"]
async fn whoever_takes_nothing_is_gone_within_twenty_seconds_and_not_much_before() {
    let server = Server::with("ASK_BURST", 100_000).start().await;
    let mut told = Told::new(&server, 2).await;
    let users = told.users.clone();
    let deaf = join_all((0..20).map(|_| narrow(&server, &users[0]))).await;
    let sipping = join_all((0..20).map(|_| narrow(&server, &users[1]))).await;
    let sipping: Vec<_> = sipping.into_iter().map(sip).collect();
    for _ in 0..6 {
        told.tell().await;
    }
    let full = Instant::now();
    assert_eq!(sockets(&server).await, 40);

    within(Duration::from_secs(20), "they are gone", async || {
        (sockets(&server).await == 0).then_some(())
    })
    .await;

    println!("gone {:?} after their buffers were full", full.elapsed());
    assert!(full.elapsed() > Duration::from_secs(15));
    drop((deaf, sipping));
}
