//! PostgreSQL away.

use std::time::{Duration, Instant};

use crate::harness::scenes::{Pair, pair_at_screens};
use crate::harness::*;
use crate::servers::{Own, Postgres};

use super::{AT_ONCE, BACK_WITHIN, all_unavailable, goes_on, in_time, nothing_broken};

/// Longest time for what memory answers, on a busy machine.
const FROM_MEMORY: Duration = Duration::from_millis(500);

/// Who is in the middle of what when the database goes away.
struct Scene {
    server: Server,
    /// Waits, and wants to withdraw.
    leaving: (User, String),
    /// Waits, and goes on waiting.
    waiting: (User, String, Socket),
    /// Nobody has confirmed.
    proposed: (Pair, Socket, Socket),
    /// The first has confirmed.
    half: (Pair, Socket, Socket),
    /// Nobody has confirmed, and the first is about to decline.
    unwanted: (Pair, Socket, Socket),
    /// In a session, which the first is about to leave.
    together: (Pair, String, Socket, Socket),
    /// Asks for the first time.
    newcomer: User,
}

impl Scene {
    async fn on(postgres: &Own<Postgres>) -> Self {
        let server = Options::on(Backends::on_postgres(postgres)).start().await;
        let (leaving, waiting) = (server.user("leaving"), server.user("waiting"));
        let ticket = leaving.open_ticket("Hard", "Array").await;
        let screen = waiting.connect().await;
        let waits = waiting.open_ticket("Hard", "Graph").await;
        let proposed = pair_at_screens(&server, ["ada", "bob"], "Heap").await;
        let half = pair_at_screens(&server, ["cleo", "dan"], "Tree").await;
        half.0
            .first
            .confirm(&half.0.match_id, true)
            .await
            .expect(200);
        let unwanted = pair_at_screens(&server, ["eve", "finn"], "Trie").await;
        let (pair, first, second) = pair_at_screens(&server, ["gus", "hana"], "Sets").await;
        let session = pair.open_session().await;
        Self {
            newcomer: server.user("newcomer"),
            server,
            leaving: (leaving, ticket),
            waiting: (waiting, waits, screen),
            proposed,
            half,
            unwanted,
            together: (pair, session, first, second),
        }
    }

    /// One of each that needs the database for something new.
    fn writes(&self) -> Vec<Request> {
        let (leaving, ticket) = &self.leaving;
        let (proposed, half, unwanted) = (&self.proposed.0, &self.half.0, &self.unwanted.0);
        vec![
            self.newcomer.asking("Hard", "Stack"),
            leaving.cancelling(ticket),
            proposed.first.answering(&proposed.match_id, true),
            half.second.answering(&half.match_id, true),
            unwanted.first.answering(&unwanted.match_id, false),
            self.together.0.first.leaving(&self.together.1),
        ]
    }

    /// Reads of what memory does not hold.
    fn cold_reads(&self) -> Vec<Request> {
        let unknown = uuid::Uuid::new_v4();
        let open = |path: String| self.server.request(Method::GET, &format!("{PREFIX}{path}"));
        let status = format!("/requests/{unknown}/status");
        vec![
            self.newcomer.request(Method::GET, &status),
            open(format!("/{unknown}/status")),
            open(format!("/session/{unknown}")),
            self.newcomer.cancelling(&unknown.to_string()),
            self.newcomer.leaving(&unknown.to_string()),
            self.newcomer.answering(&unknown.to_string(), true),
        ]
    }

    /// What is live is read from memory, as it was stored last.
    async fn memory_answers(&self) {
        let get = |user: &User, path: &str| in_time(FROM_MEMORY, user.request(Method::GET, path));
        let (waiting, ticket, _) = &self.waiting;
        let path = format!("/requests/{ticket}/status");
        let status = get(waiting, &path).await;
        assert_eq!(status.expect(200)["status"], "pending");
        for pair in [&self.proposed.0, &self.half.0] {
            let path = format!("/requests/{}/status", pair.second_ticket);
            let status = get(&pair.second, &path).await;
            assert_eq!(status.expect(200)["match_id"], pair.match_id.as_str());
            let path = format!("/{}/status", pair.match_id);
            let status = get(&pair.first, &path).await;
            assert_eq!(status.expect(200)["confirm_status"], false);
        }
        let (pair, session, ..) = &self.together;
        let active = get(&pair.first, "/sessions/active").await;
        assert_eq!(active.expect(200)["session_id"], session.as_str());
        get(&pair.first, &format!("/session/{session}"))
            .await
            .expect(200);
        self.probe("/livez").await.expect(200);
    }

    async fn probe(&self, path: &str) -> Reply {
        in_time(AT_ONCE, self.server.request(Method::GET, path)).await
    }

    /// Everybody gets what they wanted, whatever became of it when they asked in vain.
    async fn everything_goes_on(&self) {
        let ready = || self.server.request(Method::GET, "/readyz");
        goes_on(ready).await.expect(200);
        self.newcomer_is_paired().await;

        let (leaving, ticket) = &self.leaving;
        let withdrawn = goes_on(|| leaving.cancelling(ticket)).await;
        assert!(matches!(withdrawn.status, 200 | 400), "{}", withdrawn.text);
        assert_eq!(leaving.state(ticket).await, "cancelled");

        let (pair, first, second) = &self.unwanted;
        goes_on(|| pair.first.answering(&pair.match_id, false))
            .await
            .expect(200);
        assert_eq!(pair.first.state(&pair.first_ticket).await, "cancelled");
        pair.second.reaches(&pair.second_ticket, "pending").await;
        let told = second.next_event("match_expired").await;
        assert_eq!(told["reason"], "partner_declined");
        assert_eq!(first.count("match_expired"), 0);

        let (pair, first, second) = &self.proposed;
        goes_on(|| pair.first.answering(&pair.match_id, true))
            .await
            .expect(200);
        session_opens(pair, first, second).await;
        let (pair, first, second) = &self.half;
        session_opens(pair, first, second).await;

        let (pair, session, first, second) = &self.together;
        goes_on(|| pair.first.leaving(session)).await.expect(200);
        let told = second.next_event("partner_left").await;
        assert_eq!(told["user_id"], pair.first.id.as_str());
        assert_eq!(second.count("partner_left"), 1);
        assert_eq!(first.count("partner_left"), 0);
        pair.first.active_session().await.expect(404);
        pair.second.active_session().await.expect(200);
    }

    /// The ask in vain has left no claim, and whoever waited all the time is still in place.
    async fn newcomer_is_paired(&self) {
        let (waiting, ticket, screen) = &self.waiting;
        assert_eq!(waiting.state(ticket).await, "pending");
        let asked = goes_on(|| self.newcomer.asking("Hard", "Graph")).await;
        let own = text(asked.expect(200), "id").to_owned();
        let found = screen.next_event_within("match_found", BACK_WITHIN).await;
        assert_eq!(found["partner_id"], self.newcomer.id.as_str());
        let match_id = self.newcomer.matched(&own).await;
        assert_eq!(found["match_id"], match_id.as_str());
    }

    async fn sockets_stay_open(&self) {
        let (proposed, half, unwanted) = (&self.proposed, &self.half, &self.unwanted);
        for socket in [
            &self.waiting.2,
            &proposed.1,
            &proposed.2,
            &half.1,
            &half.2,
            &unwanted.1,
            &unwanted.2,
            &self.together.2,
            &self.together.3,
        ] {
            assert_eq!(socket.close_code(), None);
        }
    }
}

/// The second confirms, and both are told of one session.
async fn session_opens(pair: &Pair, first: &Socket, second: &Socket) {
    let confirmed = goes_on(|| pair.second.answering(&pair.match_id, true)).await;
    let session = text(confirmed.expect(200), "session_id").to_owned();
    for screen in [first, second] {
        let ready = screen.next_event_within("match_ready", BACK_WITHIN).await;
        assert_eq!(ready["session_id"], session.as_str());
        assert_eq!(screen.count("match_ready"), 1);
    }
}

/// The database goes away in the middle of everything, and comes back.
async fn survives(
    postgres: Own<Postgres>,
    goes: impl FnOnce(&Own<Postgres>),
    meanwhile: impl AsyncFnOnce(&Scene),
    comes: impl AsyncFnOnce(&Own<Postgres>),
) {
    let scene = Scene::on(&postgres).await;

    goes(&postgres);
    // The very first ones, which find out.
    all_unavailable(AT_ONCE, scene.writes()).await;
    scene.memory_answers().await;
    all_unavailable(AT_ONCE, scene.cold_reads()).await;
    scene.probe("/readyz").await.expect(503);
    all_unavailable(AT_ONCE, scene.writes()).await;
    meanwhile(&scene).await;
    comes(&postgres).await;
    let back = Instant::now();
    scene.everything_goes_on().await;
    let took = back.elapsed();

    assert!(is_in_time(took, BACK_WITHIN), "it took {took:?}");
    scene.sockets_stay_open().await;
    nothing_broken(&scene.server).await;
}

#[actix_rt::test]
async fn a_database_that_is_killed_is_said_at_once_and_everything_goes_on_after_it() {
    let (goes, comes) = (Own::kill, async |own: &Own<Postgres>| own.restart().await);
    survives(Postgres::own(), goes, async |_| {}, comes).await;
}

#[actix_rt::test]
async fn a_database_that_is_stopped_is_said_at_once_and_everything_goes_on_after_it() {
    let (goes, comes) = (Own::stop, async |own: &Own<Postgres>| own.restart().await);
    survives(Postgres::own(), goes, async |_| {}, comes).await;
}

#[actix_rt::test]
async fn a_database_that_is_frozen_for_a_moment_is_said_at_once_and_everything_goes_on_after_it() {
    let (goes, comes) = (Own::pause, async |own: &Own<Postgres>| own.resume());
    survives(Postgres::own(), goes, async |_| {}, comes).await;
}

#[actix_rt::test]
async fn a_database_that_is_frozen_until_commits_are_in_doubt_is_said_at_once_all_the_time() {
    let asked_in_vain = async |scene: &Scene| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(7) {
            all_unavailable(AT_ONCE, scene.writes()).await;
            scene.memory_answers().await;
            scene.probe("/readyz").await.expect(503);
        }
    };
    let (goes, comes) = (Own::pause, async |own: &Own<Postgres>| own.resume());
    survives(Postgres::own(), goes, asked_in_vain, comes).await;
}
