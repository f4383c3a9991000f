//! Whatever the server needs goes wrong in the middle of traffic: some answers are on their way then.

mod couples;
mod faults;
mod scene;
mod steady;

use std::time::Duration;

use crate::servers::Conduct;

use faults::{Fault, Whom};
use scene::{Case, Meanwhile};

/// A body that nobody should read to its end.
const HUGE: usize = 16 * 1024 * 1024;

/// Those that tell most, each for a moment.
macro_rules! tests_of {
    ($($name:ident: $whom:ident, $fault:expr, $meanwhile:ident;)+) => {
        $(
            #[actix_rt::test]
            async fn $name() {
                let case = Case {
                    whom: Whom::$whom,
                    fault: $fault,
                    meanwhile: Meanwhile::$meanwhile,
                    lasts: Duration::from_secs(1),
                    rounds: 20,
                };
                case.costs_nobody_anything_but_time().await;
            }
        )+
    };
}

tests_of! {
    a_database_that_is_killed_costs_nobody_anything_but_time: Postgres, Fault::Killed, Refuses;
    a_database_that_connections_forgot_costs_nobody_anything_but_time:
        Postgres, Fault::Blackholed, Refuses;
    commits_without_an_answer_cost_nobody_anything_but_time:
        Postgres, Fault::CommitsUnanswered, Refuses;
    a_database_that_became_a_copy_costs_nobody_anything_but_time:
        Postgres, Fault::ReplacedByCopy, Refuses;
    a_broker_that_connections_forgot_costs_nobody_anything_but_time:
        RabbitMq, Fault::Blackholed, GoesOn;
}

const fn case(whom: Whom, fault: Fault, meanwhile: Meanwhile) -> Case {
    Case {
        whom,
        fault,
        meanwhile,
        lasts: Duration::from_secs(2),
        rounds: 60,
    }
}

async fn all(cases: Vec<Case>) {
    for case in cases {
        case.costs_nobody_anything_but_time().await;
    }
}

#[actix_rt::test]
#[ignore = "takes minutes: tests/campaign"]
async fn whatever_happens_to_postgresql_costs_nobody_anything_but_time() {
    let refuses = [
        Fault::Cut,
        Fault::Reset,
        Fault::Blackholed,
        Fault::Killed,
        Fault::Paused,
        Fault::CommitsUnanswered,
        Fault::OnlyRead,
        Fault::ReplacedByCopy,
        Fault::Full,
        Fault::Slow(450),
        Fault::Slow(1_000),
    ];
    let refuses = refuses.map(|fault| case(Whom::Postgres, fault, Meanwhile::Refuses));
    all(refuses.into()).await;
    all(vec![
        case(Whom::Postgres, Fault::Crowded, Meanwhile::GoesOn),
        case(Whom::Postgres, Fault::Slow(20), Meanwhile::GoesOn),
        case(Whom::Postgres, Fault::Slow(150), Meanwhile::GoesOn),
    ])
    .await;
}

#[actix_rt::test]
#[ignore = "takes minutes: tests/campaign"]
async fn whatever_happens_to_redis_costs_nobody_anything_but_time() {
    let refuses = [
        Fault::Cut,
        Fault::Reset,
        Fault::Blackholed,
        Fault::Killed,
        Fault::Emptied,
        Fault::Paused,
        Fault::Slow(400),
    ];
    let refuses = refuses.map(|fault| case(Whom::Redis, fault, Meanwhile::Refuses));
    all(refuses.into()).await;
    all(vec![
        case(Whom::Redis, Fault::Flushed, Meanwhile::GoesOn),
        case(Whom::Redis, Fault::Slow(100), Meanwhile::GoesOn),
    ])
    .await;
}

#[actix_rt::test]
#[ignore = "takes minutes: tests/campaign"]
async fn whatever_happens_to_rabbitmq_costs_nobody_anything_but_time() {
    let goes_on = [
        Fault::Cut,
        Fault::Reset,
        Fault::Blackholed,
        Fault::Killed,
        Fault::Paused,
        Fault::Blocked,
        Fault::Slow(300),
        Fault::Slow(1_000),
    ];
    let goes_on = goes_on.map(|fault| case(Whom::RabbitMq, fault, Meanwhile::GoesOn));
    all(goes_on.into()).await;
}

#[actix_rt::test]
#[ignore = "takes minutes: tests/campaign"]
async fn whatever_the_question_service_does_costs_nobody_anything_but_time() {
    let away = [
        ("hanging", Conduct::Hang),
        ("hanging in the body", Conduct::HangInBody),
        ("failing", Conduct::Answer(500, "{}".into())),
        ("closing", Conduct::Close),
        ("no HTTP", Conduct::Garbage),
        ("no JSON", Conduct::Answer(200, "<html>".into())),
        ("nothing", Conduct::Answer(200, "[]".into())),
        ("16 MB", Conduct::Endless(HUGE)),
        ("elsewhere", Conduct::Redirect("http://127.0.0.1:1".into())),
        ("not now", Conduct::Answer(429, "{}".into())),
        ("not you", Conduct::Answer(401, "{}".into())),
    ];
    let away = away.map(|(name, conduct)| {
        let fault = Fault::Answers(name, conduct);
        case(Whom::Questions, fault, Meanwhile::Refuses)
    });
    all(away.into()).await;
}

/// Longer than connections, commits and attempts to connect are waited for.
#[actix_rt::test]
#[ignore = "takes minutes: tests/campaign"]
async fn whoever_is_away_for_a_quarter_of_a_minute_is_used_again_as_soon() {
    let long = [
        (Whom::Postgres, Fault::Cut, Meanwhile::Refuses),
        (Whom::Postgres, Fault::Blackholed, Meanwhile::Refuses),
        (Whom::Postgres, Fault::CommitsUnanswered, Meanwhile::Refuses),
        (Whom::Redis, Fault::Cut, Meanwhile::Refuses),
        (Whom::Redis, Fault::Blackholed, Meanwhile::Refuses),
        (Whom::RabbitMq, Fault::Cut, Meanwhile::GoesOn),
        (Whom::RabbitMq, Fault::Blackholed, Meanwhile::GoesOn),
        (Whom::RabbitMq, Fault::Paused, Meanwhile::GoesOn),
    ];
    let long = long.map(|(whom, fault, meanwhile)| Case {
        lasts: Duration::from_secs(15),
        ..case(whom, fault, meanwhile)
    });
    all(long.into()).await;
}
