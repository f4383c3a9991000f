//! Whoever asks about an id that is not theirs learns nothing: not whether anybody has it, not whether
//! it is over, and not by the time that the answer takes.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::dice::Dice;
use super::variable;
use crate::harness::scenes::Standing;
use crate::harness::*;

/// What is asked about an id, and every kind of id about which the answer is to be the same.
struct Question {
    what: &'static str,
    ask: fn(&User, &str) -> Request,
    ids: Vec<(&'static str, String)>,
    /// Whether everybody who knows the id may read the same elsewhere, so that time tells nothing new.
    is_open: bool,
}

/// Ids of others, live and over.
struct Others {
    standing: Standing,
    cancelled: String,
    declined: scenes::Pair,
    left: String,
}

impl Others {
    async fn on(server: &Server) -> Self {
        let standing = Standing::on(server).await;
        let gone = server.user("gone");
        let cancelled = gone.open_ticket("Hard", "Given up").await;
        gone.cancel(&cancelled).await.expect(200);
        let declined = scenes::pair(server, "no", "and no", "Declined").await;
        declined
            .first
            .confirm(&declined.match_id, false)
            .await
            .expect(200);
        declined
            .second
            .cancel(&declined.second_ticket)
            .await
            .expect(200);
        let over = scenes::pair(server, "one", "other", "Over").await;
        let left = over.open_session().await;
        over.first.leave(&left).await.expect(200);
        over.second.leave(&left).await.expect(200);
        Self {
            standing,
            cancelled,
            declined,
            left,
        }
    }

    fn questions(&self) -> Vec<Question> {
        let standing = &self.standing;
        let tickets = vec![
            ("nobody's", Uuid::new_v4().to_string()),
            ("of one who waits", standing.ticket.clone()),
            ("of one in a match", standing.pair.first_ticket.clone()),
            ("of one in a session", standing.members.first_ticket.clone()),
            ("withdrawn", self.cancelled.clone()),
            ("declined", self.declined.first_ticket.clone()),
        ];
        let matches = vec![
            ("nobody's", Uuid::new_v4().to_string()),
            ("open", standing.pair.match_id.clone()),
            ("in session", standing.members.match_id.clone()),
            ("declined", self.declined.match_id.clone()),
        ];
        let sessions = vec![
            ("open", standing.session.clone()),
            ("over", self.left.clone()),
        ];
        let question = |what, ask, ids: &Vec<_>| Question {
            what,
            ask,
            ids: ids.clone(),
            is_open: false,
        };
        vec![
            question(
                "the status of a ticket",
                |user, id| user.request(Method::GET, &format!("/requests/{id}/status")),
                &tickets,
            ),
            question("the end of a ticket", User::cancelling, &tickets),
            question(
                "a confirmation",
                |user, id| user.answering(id, true),
                &matches,
            ),
            question("a decline", |user, id| user.answering(id, false), &matches),
            // One that nobody has is left with success, and an open one can be read: contract §3.
            Question {
                is_open: true,
                ..question("the end of a session", User::leaving, &sessions)
            },
        ]
    }
}

#[actix_rt::test]
async fn an_id_of_somebody_else_is_answered_like_one_that_nobody_has() {
    let server = Server::with("ASK_BURST", 1_000).start().await;
    let others = Others::on(&server).await;
    let eve = server.user("eve");

    for question in others.questions() {
        let mut first = None;
        for (kind, id) in &question.ids {
            let reply = (question.ask)(&eve, id).send().await;
            reply.expect(404);
            let first = first.get_or_insert_with(|| reply.clone());
            assert_eq!(
                reply.visible(),
                first.visible(),
                "{} that is {kind}",
                question.what
            );
        }
    }

    let unknown = eve.leave(&Uuid::new_v4().to_string()).await;
    assert_eq!(*unknown.expect(200), json!({"status": "ok"}));
    others.standing.is_unchanged(&server).await;
}

/// Compares medians of what is asked in turn, on a server with nothing else to do. `ORACLE_ROUNDS` sets
/// how often each is asked.
#[actix_rt::test]
#[ignore = "a measurement"]
async fn an_id_of_somebody_else_is_answered_as_fast_as_one_that_nobody_has() {
    let rounds: usize = variable("ORACLE_ROUNDS").unwrap_or(400);
    let options = Server::with("ASK_BURST", 1_000_000).with("ASKS_PER_SECOND", 1_000_000);
    let timeouts = options.with("MATCHING_TIMEOUT_SECONDS", 3_600);
    let server = timeouts
        .with("CONFIRM_MATCH_TIMEOUT_SECONDS", 3_600)
        .start()
        .await;
    let others = Others::on(&server).await;
    let eve = server.user("eve");
    let mut dice = Dice::new(1, 0);
    let mut slips = Vec::new();

    for question in others.questions() {
        if question.is_open {
            continue;
        }
        let mut times = vec![Vec::new(); question.ids.len()];
        for _ in 0..rounds {
            // In no order, so that none profits from the one before it.
            let first = dice.below(question.ids.len());
            for turn in 0..question.ids.len() {
                let index = (first + turn) % question.ids.len();
                let request = (question.ask)(&eve, &question.ids[index].1);
                let begun = Instant::now();
                let reply = request.send().await;
                times[index].push(begun.elapsed());
                assert_eq!(reply.status, 404, "{}", reply.text);
            }
        }
        let medians: Vec<Duration> = times.iter_mut().map(|it| median(it)).collect();
        for ((kind, _), took) in question.ids.iter().zip(&medians) {
            println!("{}, {kind}: {took:?}", question.what);
            let apart = took.abs_diff(medians[0]);
            if apart > (medians[0] / 5).max(Duration::from_micros(100)) {
                slips.push(format!(
                    "{} that is {kind}: {took:?}, not {:?}",
                    question.what, medians[0]
                ));
            }
        }
    }

    assert_eq!(slips, [""; 0]);
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
