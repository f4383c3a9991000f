//! Many at once, those who vanish, and those who dribble.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::probe::Probe;
use crate::harness::*;
use crate::servers::Passage;

/// Both ends of every connection are of this machine, and this end is of this process.
const OPEN_FILES: u64 = 8_192;

#[actix_rt::test]
async fn two_thousand_handshakes_at_once_all_open_while_others_are_served() {
    rlimit::increase_nofile_limit(OPEN_FILES).expect("the limit of open files can be asked for");
    // One thread takes all of them in a moment, but not that of a debug build on a busy machine: others
    // would wait for seconds. The campaign measures the default, in release.
    let threads = if cfg!(debug_assertions) { 2 } else { 1 };
    let server = Server::with("HTTP_WORKERS", threads).start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    let crowd: Vec<User> = (0..100)
        .map(|number| server.user(&format!("user-{number}")))
        .collect();
    let before = server.connections();
    let memory = server.memory();
    let probe = Probe::start(&server, &ticket, &ada).await;
    let begun = Instant::now();

    let open = join_all((0..2_000).map(async |number| {
        let mut raw = Raw::connect(server.api()).await;
        raw.open_socket(&crowd[number % crowd.len()]).await;
        raw
    }))
    .await;

    let took = begun.elapsed();
    let p99 = probe.end("while 2,000 sockets opened");
    let each = server.memory().peak.saturating_sub(memory.now) / 2_000;
    println!("all open after {took:?}, {each} bytes each at most");
    assert_eq!(server.metric("matchmaker_sockets_open").await, 2_000.0);
    assert_eq!(server.metric("matchmaker_socket_users").await, 100.0);
    assert!(is_in_time(p99, Duration::from_millis(500)), "{p99:?}");
    assert!(is_in_time(took, PATIENCE), "{took:?}");
    let mut one_more = Raw::connect(server.api()).await;
    let target = format!("/ws?token={}", crowd[0].token);
    one_more.send(upgrade(&target, "")).await;
    one_more.reply().await.expect("an answer").expect(429);
    assert_eq!(server.reached("sockets_of_user").await, 1.0);

    drop((open, one_more));

    eventually("nothing is left of them", async || {
        let sockets = server.metric("matchmaker_sockets_open").await;
        let users = server.metric("matchmaker_socket_users").await;
        (sockets + users == 0.0 && server.connections() <= before + 2).then_some(())
    })
    .await;
    let screen = crowd[0].connect().await;
    crowd[0].open_ticket("Easy", "Array").await;
    screen.match_with("ada").await;
}

#[actix_rt::test]
async fn connections_that_say_nothing_leave_room_for_the_backends_and_for_those_who_are_there() {
    let server = Server::with("MAX_SOCKETS", 2).start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let (ada_screen, bob_screen) = (ada.connect().await, bob.connect().await);
    // Theirs is a connection that is there.
    server.get("/livez").await.expect(200);

    let silent: Vec<TcpStream> = (0..600)
        .map(|_| TcpStream::connect(("127.0.0.1", server.api().port())).expect("it waits"))
        .collect();

    eventually("no more are taken", async || {
        (server.connections() >= 380).then_some(())
    })
    .await;
    ada.open_ticket("Easy", "Array").await;
    bob.open_ticket("Easy", "Array").await;
    let found = ada_screen.match_with("bob").await;
    let match_id = text(&found, "match_id");
    bob_screen.match_with("ada").await;
    ada.confirm(match_id, true).await.expect(200);
    bob.confirm(match_id, true).await.expect(200);
    let taken = server.connections();
    assert!((380..400).contains(&taken), "{taken} connections");

    drop(silent);

    let stranger = Api::new();
    stranger.moved_to(server.api().port());
    let alive = stranger.request(Method::GET, "/livez").send().await;
    alive.expect(200);
}

#[actix_rt::test]
async fn those_who_vanish_without_a_word_are_dropped_after_the_silence_and_others_stay() {
    let server = Server::with("SOCKET_PING_SECONDS", "0.2");
    let server = server.with("SOCKET_SILENCE_SECONDS", 1).start().await;
    let screen = server.user("ada").connect().await;
    let way = Passage::to(&server.api().url("/"));
    way.open();
    let far = Api::new();
    let port = way
        .url()
        .rsplit(':')
        .next()
        .and_then(|it| it.strip_suffix('/'));
    far.moved_to(port.and_then(|it| it.parse().ok()).expect("a port"));
    let travellers: Vec<User> = (0..20)
        .map(|number| server.user(&format!("traveller-{number}")))
        .map(|user| User::new(&far, &user.id, user.token))
        .collect();
    eventually("the way is open", async || {
        let asked = far.request(Method::GET, "/livez").try_send().await;
        asked.ok().map(|_| ())
    })
    .await;
    let screens = join_all(travellers.iter().map(User::connect)).await;
    eventually("they answer for longer than the silence", async || {
        (screens.iter().all(|screen| screen.pings() >= 8)).then_some(())
    })
    .await;
    assert_eq!(server.metric("matchmaker_sockets_open").await, 21.0);

    way.freeze();
    let begun = Instant::now();

    within(
        Duration::from_millis(1_500),
        "they are dropped",
        async || (server.metric("matchmaker_sockets_open").await == 1.0).then_some(()),
    )
    .await;
    assert!(begun.elapsed() > Duration::from_millis(700));
    assert_eq!(screen.close_code(), None);
}

#[actix_rt::test]
#[ignore = "takes a quarter of a minute: tests/campaign"]
async fn four_hundred_who_dribble_their_requests_are_cut_off_and_others_are_served() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    let probe = Probe::start(&server, &ticket, &ada).await;
    let memory = server.memory();
    let head = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ".to_owned();
    let eves: Vec<User> = (0..10)
        .map(|number| server.user(&format!("eve-{number}")))
        .collect();
    let body = |number: usize| {
        let token = &eves[number % eves.len()].token;
        format!(
            "POST {PREFIX}/request HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 1000\r\n\r\n{{\"difficulty\": \""
        )
    };
    let heads = (0..200).map(|_| dribble(&server, head.clone()));
    let bodies = (0..200).map(|number| dribble(&server, body(number)));

    let ended = join_all(heads.chain(bodies)).await;

    let p99 = probe.end("while 400 dribbled");
    let peak = server.memory().peak.saturating_sub(memory.now);
    let answered = ended.iter().flatten().count();
    println!(
        "{answered} of 400 were answered 408; {} KiB more at most",
        peak / 1_024
    );
    assert!(answered >= 200, "{answered} heard why");
    assert!(is_in_time(p99, Duration::from_millis(500)), "{p99:?}");
    assert!(peak < 400 * 64 * 1_024, "{peak} bytes");
    eventually("nothing is left of them", async || {
        (server.connections() < 100).then_some(())
    })
    .await;
    server.user("bob").ask("Easy", "Array").await.expect(200);
    ada.matched(&ticket).await;
}

/// Sends `start` at once and then a byte each second, until the server has had enough; gives the answer
/// if there was one.
async fn dribble(server: &Server, start: String) -> Option<Reply> {
    let mut raw = Raw::connect(server.api()).await;
    raw.send(start).await;
    let begun = Instant::now();
    let limit = Duration::from_secs(13);
    loop {
        let ended = raw.reply_or_end(Duration::from_secs(1)).await;
        if let Some(reply) = ended {
            let took = begun.elapsed();
            assert!(took > Duration::from_secs(4), "after {took:?}");
            if let Some(reply) = &reply {
                assert_eq!(reply.status, 408, "{}", reply.text);
            }
            return reply;
        }
        assert!(is_in_time(begun.elapsed(), limit), "still listened to");
        raw.send("x").await;
    }
}
