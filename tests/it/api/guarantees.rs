//! The counters of broken guarantees: each is made to count by somebody who changes the database
//! behind the server's back, and nobody else suffers from it.
//!
//! G8, G9 and G10 cannot be broken from outside; their counting is tested beside their code.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection};

use crate::harness::*;

const GUARANTEES: [&str; 10] = [
    "g1_one_live_claim",
    "g2_durable",
    "g3_symmetric_pairs",
    "g4_one_outcome",
    "g5_one_session",
    "g6_place_kept",
    "g7_time_kept",
    "g8_bounded",
    "g9_own_only",
    "g10_no_hang",
];

#[actix_rt::test]
async fn g1_two_live_tickets_of_one_user_are_counted_and_the_older_one_goes_on() {
    let server = embedded().start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let ticket = ada.open_ticket("Easy", "Array").await;
    server.kill();
    let mut file = Tampered::new(&server);
    file.runs("DROP INDEX tickets_one_live_per_user");
    file.changes(
        1,
        "INSERT INTO tickets SELECT unhex(substr(hex(id), 1, 12) || '7fff8000000000000001'), user_id, \
         difficulty, topic, topic_key, status, match_id, enqueued_at_ms, waits_until_ms, put_back, \
         silences, asks, avoided, ended_at_ms FROM tickets",
    );

    server.restart().await;

    assert_broken(&server, &[("g1_one_live_claim", 1)]).await;
    let partner = bob.open_ticket("Easy", "Array").await;
    assert_eq!(ada.matched(&ticket).await, bob.matched(&partner).await);
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g1_one_live_claim", 1)]).await;
}

#[actix_rt::test]
async fn g2_a_stored_ticket_that_the_database_lost_is_counted_and_its_partner_waits_on() {
    let server = embedded().start().await;
    let [ada, bob, cleo] = ["ada", "bob", "cleo"].map(|name| server.user(name));
    let lost = ada.open_ticket("Easy", "Array").await;
    let ended = "status = 'withdrawn', ended_at_ms = enqueued_at_ms";
    let ends = format!("UPDATE tickets SET {ended} WHERE id = {}", blob(&lost));
    Tampered::new(&server).changes(1, &ends);

    let kept = bob.open_ticket("Easy", "Array").await;

    ada.reaches(&lost, "cancelled").await;
    assert_eq!(bob.state(&kept).await, "pending");
    assert_broken(&server, &[("g2_durable", 1)]).await;
    let third = cleo.open_ticket("Easy", "Array").await;
    assert_eq!(bob.matched(&kept).await, cleo.matched(&third).await);
    ada.open_ticket("Easy", "Array").await;
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g2_durable", 1)]).await;
}

#[actix_rt::test]
async fn g2_a_session_that_the_database_lost_is_counted_when_it_is_left() {
    let server = embedded().start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let removes = format!("DELETE FROM sessions WHERE id = {}", blob(&session));
    Tampered::new(&server).changes(1, &removes);

    let left = pair.first.leave(&session).await;

    left.expect(503);
    server.session(&session).await.expect(200);
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g2_durable", 1)]).await;
}

#[actix_rt::test]
async fn g3_a_ticket_in_two_open_matches_is_counted_and_the_first_match_goes_on() {
    let server = embedded().start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    server.kill();
    Tampered::new(&server).changes(
        1,
        &format!(
            "INSERT INTO matches SELECT {}, {}, first_ticket, second_ticket, first_user, \
             second_user, difficulty, topic_key, state, confirmed_first, confirmed_second, \
             proposed_at_ms + 1, expires_at_ms, extended, ended_at_ms FROM matches",
            another("id"),
            another("session_id")
        ),
    );

    server.restart().await;

    assert_broken(&server, &[("g3_symmetric_pairs", 1)]).await;
    let session = pair.open_session().await;
    server.session(&session).await.expect(200);
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g3_symmetric_pairs", 1)]).await;
}

#[actix_rt::test]
async fn g3_a_match_of_one_user_with_themselves_is_counted_and_left_out() {
    let server = embedded().start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    server.kill();
    let mut file = Tampered::new(&server);
    file.runs("PRAGMA ignore_check_constraints = ON");
    file.changes(1, "UPDATE matches SET second_user = first_user");
    file.changes(2, END_TICKETS);

    server.restart().await;

    assert_broken(&server, &[("g3_symmetric_pairs", 1)]).await;
    // Its row still says that it is open, so whoever asks is told to come back, but nothing happens.
    pair.first.confirm(&pair.match_id, true).await.expect(503);
    let stranger = pair.second.confirm(&pair.match_id, true).await;
    stranger.expect_error(404, "Match not found");
    scenes::pair_up(pair.first, pair.second, "Array").await;
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g3_symmetric_pairs", 1)]).await;
}

#[actix_rt::test]
async fn g4_an_open_match_that_the_database_knows_as_over_is_counted_and_over() {
    let server = embedded().start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let mut file = Tampered::new(&server);
    file.changes(2, END_TICKETS);
    let expired = "state = 'expired', ended_at_ms = expires_at_ms";
    file.changes(1, &format!("UPDATE matches SET {expired}"));

    for user in [&pair.first, &pair.second] {
        let reply = user.confirm(&pair.match_id, true).await;
        reply.expect_error(404, "Match not found");
    }

    server.match_status(&pair.match_id).await.expect(404);
    assert_eq!(pair.first.state(&pair.first_ticket).await, "timeout");
    assert_broken(&server, &[("g4_one_outcome", 1)]).await;
    scenes::pair_up(pair.first, pair.second, "Array").await;
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g4_one_outcome", 1)]).await;
}

#[actix_rt::test]
async fn g5_a_match_that_cannot_become_its_session_is_counted_and_does_after_a_restart() {
    let server = embedded().start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    Tampered::new(&server).changes(
        1,
        &format!("UPDATE matches SET session_id = {}", another("session_id")),
    );

    let confirmed = pair.second.confirm(&pair.match_id, true).await;

    confirmed.expect(503);
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g5_one_session", 1)]).await;
    server.restart().await;
    let opened = eventually("the session is opened", async || {
        let status = server.match_status(&pair.match_id).await;
        status.expect(200)["session_id"].as_str().map(str::to_owned)
    })
    .await;
    server.session(&opened).await.expect(200);
    assert_broken(&server, &[]).await;
}

#[actix_rt::test]
async fn g5_a_session_of_a_match_that_is_still_open_is_counted_and_not_served() {
    let server = embedded().start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    server.kill();
    Tampered::new(&server).changes(
        1,
        "INSERT INTO sessions SELECT session_id, id, first_user, second_user, 1, 'Foreign', 'easy', \
         '[\"Array\"]', proposed_at_ms, proposed_at_ms + 3600000, NULL, NULL FROM matches",
    );

    server.restart().await;

    assert_broken(&server, &[("g5_one_session", 1)]).await;
    pair.first.active_session().await.expect(404);
    pair.second.confirm(&pair.match_id, true).await.expect(503);
    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["confirm_status"], false);
    assert_serves_others(&server).await;
    // At the start, and when the second confirmation finds the session of somebody else there.
    assert_broken(&server, &[("g5_one_session", 2)]).await;
}

#[actix_rt::test]
async fn g6_a_place_that_was_changed_is_counted_and_the_ticket_waits_on() {
    let server = embedded().start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let moved = ada.open_ticket("Easy", "Array").await;
    server.kill();
    let later = "UPDATE tickets SET enqueued_at_ms = enqueued_at_ms + 1";
    Tampered::new(&server).changes(1, later);

    server.restart().await;

    assert_broken(&server, &[("g6_place_kept", 1)]).await;
    let partner = bob.open_ticket("Easy", "Array").await;
    assert_eq!(ada.matched(&moved).await, bob.matched(&partner).await);
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g6_place_kept", 1)]).await;
}

#[actix_rt::test]
async fn g7_deadlines_before_their_beginning_are_counted_and_honoured() {
    let server = embedded().start().await;
    let (pair, cleo) = (
        scenes::pair(&server, "ada", "bob", "Array").await,
        server.user("cleo"),
    );
    let overdue = cleo.open_ticket("Easy", "Graph").await;
    server.kill();
    let mut file = Tampered::new(&server);
    let backwards = "waits_until_ms = enqueued_at_ms - 1 WHERE status = 'waiting'";
    file.changes(1, &format!("UPDATE tickets SET {backwards}"));
    let backwards = "UPDATE matches SET expires_at_ms = proposed_at_ms - 1";
    file.changes(1, backwards);

    server.restart().await;

    assert_broken(&server, &[("g7_time_kept", 2)]).await;
    cleo.reaches(&overdue, "timeout").await;
    cleo.open_ticket("Easy", "Graph").await;
    pair.open_session().await;
    assert_serves_others(&server).await;
    assert_broken(&server, &[("g7_time_kept", 2)]).await;
}

#[actix_rt::test]
async fn a_database_that_somebody_locks_is_said_and_breaks_no_guarantee() {
    let server = embedded().start().await;
    let ada = server.user("ada");
    let mut file = Tampered::new(&server);
    file.runs("BEGIN IMMEDIATE");

    let refused = ada.ask("Easy", "Array").await;

    refused.expect(503);
    file.runs("ROLLBACK");
    let ticket = eventually("the store is back", async || {
        let reply = ada.ask("Easy", "Array").await;
        (reply.status == 200).then(|| text(&reply.json, "id").to_owned())
    })
    .await;
    assert_eq!(ada.state(&ticket).await, "pending");
    assert_serves_others(&server).await;
    assert_broken(&server, &[]).await;
}

#[actix_rt::test]
async fn a_busy_run_with_a_crash_in_it_breaks_no_guarantee() {
    let server = embedded()
        .with("MATCHING_TIMEOUT_SECONDS", 3)
        .with("CONFIRM_MATCH_TIMEOUT_SECONDS", 1)
        .start()
        .await;
    let crowd: Vec<User> = (0..60)
        .map(|number| server.user(&format!("crowd-{number}")))
        .collect();

    let asks = crowd
        .iter()
        .flat_map(|user| [user.ask("Easy", "Array"), user.ask("Easy", "Array")]);
    for reply in join_all(asks).await {
        assert!([200, 400].contains(&reply.status), "{}", reply.text);
    }
    join_all((0..24).map(|number| live_through(&server, number))).await;
    assert_broken(&server, &[]).await;
    server.restart().await;
    join_all((24..48).map(|number| live_through(&server, number))).await;

    within(
        PATIENCE * 3,
        "every ticket has come to its end",
        async || {
            let reply = server.get("/debug/actors").await;
            let state = reply.expect(200);
            (state["tickets"]["waiting"] == 0 && state["matches"]["proposed"] == 0).then_some(())
        },
    )
    .await;
    assert_broken(&server, &[]).await;
}

/// One of the ways in which two people can go on after they met.
async fn live_through(server: &Server, number: usize) {
    let names = ["first", "second"].map(|side| format!("{side}-{number}"));
    let topic = format!("Topic {number}");
    let pair = scenes::pair(server, &names[0], &names[1], &topic).await;
    let (id, first, second) = (&pair.match_id, &pair.first, &pair.second);
    match number % 6 {
        0 => {
            let session = pair.open_session().await;
            first.leave(&session).await.expect(200);
            second.leave(&session).await.expect(200);
        }
        1 => {
            let replies = join_all([first.confirm(id, true), second.confirm(id, true)]).await;
            let told = replies.iter().filter(|it| it.status == 200).count();
            assert_eq!(told, 2);
        }
        2 => {
            first.confirm(id, false).await.expect(200);
            second.cancel(&pair.second_ticket).await.expect(200);
        }
        3 => {
            second.ask("Hard", &topic).await.expect(200);
        }
        4 => {
            first.confirm(id, true).await.expect(200);
        }
        _ => {}
    }
}

/// A statement that ends every ticket.
const END_TICKETS: &str = "UPDATE tickets SET status = 'expired', match_id = NULL, \
                           ended_at_ms = waits_until_ms";

/// A server whose state is in one SQLite file.
fn embedded() -> Options {
    Options::on(Backends::Embedded)
}

/// The server's file, changed behind its back.
struct Tampered(SqliteConnection);

impl Tampered {
    fn new(server: &Server) -> Self {
        server.is_tampered_with();
        let path = server.database_file();
        let path = path.to_str().expect("the path is UTF-8");
        let mut connection = SqliteConnection::establish(path).expect("the file is there");
        let settings = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF";
        connection
            .batch_execute(settings)
            .expect("settings are taken");
        Self(connection)
    }

    #[track_caller]
    fn runs(&mut self, statement: &str) {
        let done = self.0.batch_execute(statement);
        done.unwrap_or_else(|problem| panic!("{problem}: {statement}"));
    }

    #[track_caller]
    fn changes(&mut self, rows: usize, statement: &str) {
        let changed = diesel::sql_query(statement).execute(&mut self.0);
        assert_eq!(changed, Ok(rows), "{statement}");
    }
}

/// An id as SQLite writes it.
fn blob(id: &str) -> String {
    format!("x'{}'", id.replace('-', ""))
}

/// What differs from the id in `column` in its last byte.
fn another(column: &str) -> String {
    format!("unhex(substr(hex({column}), 1, 30) || iif(hex({column}) LIKE '%00', '01', '00'))")
}

/// Two people who have nothing to do with it find each other, work together and part.
async fn assert_serves_others(server: &Server) {
    let pair = scenes::pair(server, "dora", "emil", "Recursion").await;
    let session = pair.open_session().await;
    for user in [&pair.first, &pair.second] {
        let active = user.active_session().await;
        assert_eq!(active.expect(200)["session_id"], session.as_str());
        user.leave(&session).await.expect(200);
    }
}

/// Asserts that exactly these guarantees were found broken, each so often.
async fn assert_broken(server: &Server, broken: &[(&str, u64)]) {
    let reply = server.get("/metrics").await;
    reply.expect(200);
    let counted: BTreeMap<&str, u64> = reply.text.lines().filter_map(breach).collect();
    let mut expected = BTreeMap::from(GUARANTEES.map(|name| (name, 0)));
    expected.extend(broken.iter().copied());
    assert_eq!(counted, expected);
}

fn breach(line: &str) -> Option<(&str, u64)> {
    let rest = line.strip_prefix("matchmaker_guarantee_breaches_total{guarantee=\"")?;
    let (name, count) = rest.split_once("\"} ")?;
    Some((name, count.parse().expect("a counter is a number")))
}
