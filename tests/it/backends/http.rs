//! The question and the user service, against services that misbehave.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use matchmaker::adapters::http::{HttpCalls, HttpQuestions, HttpUsers};
use matchmaker::domain::{Difficulty, Question, Topic, Wish};
use matchmaker::ports::{Away, BearerToken, Questions, Users};
use tokio::time::sleep;

use crate::harness::{eventually, is_in_time};
use crate::servers::{Conduct, Stub};

fn questions_at(stub: &Stub) -> HttpQuestions {
    let calls = HttpCalls::start().expect("a thread");
    HttpQuestions::new(calls, &stub.base(), "/api/v1").expect("a URL")
}

fn users_at(stub: &Stub) -> HttpUsers {
    let calls = HttpCalls::start().expect("a thread");
    HttpUsers::new(calls, &stub.base(), "/users/me").expect("a URL")
}

fn wish(topic: &str) -> Wish {
    Wish {
        difficulty: Difficulty::Easy,
        topic: Topic::parse(topic).expect("a topic"),
    }
}

fn good() -> Conduct {
    let body = r#"[{"id": 17, "title": "Two Sum", "difficulty": "Easy", "topics": ["Array"], "is_active": true},
                   {"id": 18, "title": "Old", "difficulty": "Easy", "topics": ["Array"], "is_active": false}]"#;
    Conduct::Answer(200, body.to_owned())
}

fn two_sum() -> Question {
    Question {
        id: 17,
        title: "Two Sum".into(),
        difficulty: "easy".into(),
        topics: vec!["Array".into()],
    }
}

async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let answer = call.await;
    (answer, began.elapsed())
}

#[tokio::test]
async fn the_question_service_is_asked_as_the_contract_says() {
    let stub = Stub::new(good()).await;
    let questions = questions_at(&stub);
    let token = BearerToken::new("a.b.c");

    let first = questions.pick(&wish("Hash Table & Co"), Some(&token)).await;
    let second = questions.pick(&wish("Array"), None).await;

    assert_eq!(first, Ok(two_sum()));
    assert_eq!(second, Ok(two_sum()));
    let requests = stub.requests();
    assert_eq!(requests.len(), 2);
    let path = "GET /api/v1/questions/filter/topics-difficulty?difficulty=easy&topics=Hash+Table+%26+Co HTTP/1.1\r\n";
    assert!(requests[0].starts_with(path), "{}", requests[0]);
    let lower = requests[0].to_lowercase();
    assert!(lower.contains("authorization: bearer a.b.c\r\n"), "{lower}");
    assert!(!requests[1].to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn a_question_is_picked_at_random() {
    let body: Vec<String> = (1..=3)
        .map(|id| format!(r#"{{"id": {id}, "title": "T"}}"#))
        .collect();
    let body = format!("[{}]", body.join(","));
    let stub = Stub::new(Conduct::Answer(200, body)).await;
    let questions = questions_at(&stub);

    let mut seen = [0; 3];
    for _ in 0..90 {
        let question = questions.pick(&wish("Array"), None).await.expect("one");
        seen[usize::try_from(question.id).expect("small") - 1] += 1;
    }

    assert!(seen.iter().all(|times| *times > 5), "{seen:?}");
}

#[tokio::test]
async fn failures_that_may_pass_are_tried_three_times_and_others_once() {
    let elsewhere = Stub::new(good()).await;
    let many = vec!["{\"id\": 1, \"title\": \"x\"}"; 20_000].join(",");
    let cases = [
        (Conduct::Answer(500, "[]".into()), 3),
        (Conduct::Answer(429, "[]".into()), 3),
        (Conduct::Answer(200, "[]".into()), 3),
        (Conduct::Answer(200, "garbage".into()), 3),
        (Conduct::Answer(200, format!("[{many}]")), 3),
        (Conduct::Redirect(elsewhere.base()), 3),
        (Conduct::Close, 3),
        (Conduct::Garbage, 3),
        (Conduct::Endless(10_000_000), 3),
        (Conduct::Answer(404, "[]".into()), 1),
        (Conduct::Answer(401, "[]".into()), 1),
    ];
    for (conduct, tries) in cases {
        let stub = Stub::new(conduct.clone()).await;
        let (failed, took) = timed(questions_at(&stub).pick(&wish("Array"), None)).await;

        let case = format!("{conduct:?}");
        let case = &case[..case.len().min(80)];
        let away = failed.expect_err(case);
        assert_eq!(away.backend, "question service");
        assert_eq!(stub.requests().len(), tries, "{case}: {away}");
        assert!(is_in_time(took, Duration::from_secs(3)), "{case}: {took:?}");
    }
    assert_eq!(elsewhere.requests().len(), 0, "redirects are not followed");
}

#[tokio::test]
async fn a_service_that_hangs_takes_four_seconds_and_delays_nobody_else() {
    for conduct in [Conduct::Hang, Conduct::HangInBody] {
        let stub = Stub::new(conduct).await;
        let healthy = Stub::new(good()).await;
        let calls = HttpCalls::start().expect("a thread");
        let questions = HttpQuestions::new(calls.clone(), &stub.base(), "").expect("a URL");
        let others = HttpUsers::new(calls, &healthy.base(), "/users/me").expect("a URL");

        let topics: Vec<Wish> = (0..600).map(|it| wish(&format!("topic {it}"))).collect();
        let hanging = join_all(topics.iter().map(|it| timed(questions.pick(it, None))));
        let other = async {
            sleep(Duration::from_millis(1_500)).await;
            timed(others.admits(&BearerToken::new("t"))).await
        };
        let (hanging, (admitted, took)) = tokio::join!(hanging, other);

        assert_eq!(admitted, Ok(true));
        assert!(is_in_time(took, Duration::from_millis(800)), "{took:?}");
        for (answer, took) in hanging {
            assert!(answer.is_err());
            assert!(is_in_time(took, Duration::from_millis(4_700)), "{took:?}");
        }
        let closed = async || (stub.open() == 0).then_some(());
        eventually("connections are closed", closed).await;
    }
}

#[tokio::test]
async fn a_known_question_is_used_while_the_service_is_away_and_only_of_that_bucket() {
    let stub = Stub::new(good()).await;
    let questions = questions_at(&stub);
    let known = questions.pick(&wish("Array"), None).await;
    assert_eq!(known, Ok(two_sum()));

    stub.now(Conduct::Hang);
    let (first, took) = timed(questions.pick(&wish("ARRAY"), None)).await;
    let (second, at_once) = timed(questions.pick(&wish("Array"), None)).await;
    stub.now(Conduct::Answer(500, String::new()));
    let unknown = questions.pick(&wish("Graph"), None).await;
    stub.now(good());
    sleep(Duration::from_millis(2_100)).await;
    let asked_before = stub.requests().len();
    let again = questions.pick(&wish("Array"), None).await;

    assert_eq!(first, Ok(two_sum()));
    assert!(is_in_time(took, Duration::from_millis(4_700)), "{took:?}");
    assert_eq!(second, Ok(two_sum()));
    assert!(
        is_in_time(at_once, Duration::from_millis(100)),
        "{at_once:?}"
    );
    assert!(unknown.is_err());
    assert_eq!(again, Ok(two_sum()));
    assert_eq!(stub.requests().len(), asked_before + 1);
}

#[tokio::test]
async fn what_is_wrong_with_one_topic_or_token_keeps_nobody_else_from_asking() {
    let stub = Stub::new(good()).await;
    let questions = questions_at(&stub);
    let known = questions.pick(&wish("Array"), None).await;
    assert_eq!(known, Ok(two_sum()));

    for fault in [
        Conduct::Answer(401, String::new()),
        Conduct::Answer(404, String::new()),
        Conduct::Answer(200, "[]".into()),
        Conduct::Answer(200, "<html>".into()),
    ] {
        stub.now(fault.clone());
        assert!(questions.pick(&wish("Graph"), None).await.is_err());
        stub.now(good());
        let asked = stub.requests().len();
        let others = questions.pick(&wish("Array"), None).await;
        assert_eq!(others, Ok(two_sum()));
        assert_eq!(stub.requests().len(), asked + 1, "after {fault:?}");
    }
}

#[tokio::test]
async fn the_user_service_admits_refuses_or_is_away_and_is_not_asked_again_at_once() {
    let stub = Stub::new(Conduct::Answer(200, r#"{"id": "u"}"#.into())).await;
    let users = users_at(&stub);
    let token = |name: &str| BearerToken::new(name);

    assert_eq!(users.admits(&token("good")).await, Ok(true));
    stub.now(Conduct::Answer(401, String::new()));
    assert_eq!(users.admits(&token("bad")).await, Ok(false));
    stub.now(Conduct::Answer(403, String::new()));
    assert_eq!(users.admits(&token("worse")).await, Ok(false));
    stub.now(Conduct::Answer(404, String::new()));
    assert_eq!(users.admits(&token("gone")).await, Ok(false));
    stub.now(Conduct::Answer(500, String::new()));
    for name in ["good", "bad", "good"] {
        assert_eq!(users.admits(&token(name)).await, Ok(name == "good"));
    }
    let away = users.admits(&token("other")).await;

    assert!(matches!(
        away,
        Err(Away {
            backend: "user service",
            ..
        })
    ));
    let requests = stub.requests();
    assert_eq!(requests.len(), 5);
    assert!(requests[0].starts_with("GET /users/me HTTP/1.1\r\n"));
    assert!(
        requests[0]
            .to_lowercase()
            .contains("authorization: bearer good\r\n")
    );
    for conduct in [
        Conduct::Redirect(stub.base()),
        Conduct::Garbage,
        Conduct::Close,
    ] {
        stub.now(conduct);
        assert!(users.admits(&token("other")).await.is_err());
    }
    stub.now(Conduct::Hang);
    let (hangs, took) = timed(users.admits(&token("other"))).await;
    assert!(hangs.is_err());
    assert!(is_in_time(took, Duration::from_millis(1_300)), "{took:?}");
    stub.now(Conduct::Answer(200, String::new()));
    assert_eq!(users.admits(&token("other")).await, Ok(true));
}
