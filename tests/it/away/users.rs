//! The user service that is asked about each token: away, it keeps nobody waiting and lets nobody in.

use std::time::{Duration, Instant};

use super::looks::within_time;
use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// Longest wait for a service that hangs, with what a busy machine adds.
const BOUNDED: Duration = Duration::from_millis(1_500);

async fn server_with(stub: &Stub) -> Server {
    Options::on(Backends::real())
        .with("AUTH_VERIFY_WITH_USER_SERVICE", true)
        .with("USER_SERVICE_URL", stub.base())
        .start()
        .await
}

fn admits() -> Conduct {
    Conduct::Answer(200, r#"{"id": "somebody"}"#.into())
}

#[actix_rt::test]
async fn only_whom_the_user_service_admits_is_let_in_and_it_is_not_asked_each_time() {
    let stub = Stub::new(admits()).await;
    let server = server_with(&stub).await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));

    let ticket = ada.open_ticket("Easy", "Array").await;
    assert_eq!(ada.state(&ticket).await, "pending");
    let requests = stub.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("GET /users/me HTTP/1.1\r\n"));
    let bearer = format!("authorization: Bearer {}\r\n", ada.token);
    assert!(requests[0].contains(&bearer), "{}", requests[0]);

    stub.now(Conduct::Answer(401, "{}".into()));
    bob.ask("Easy", "Array").await.expect(401);
    bob.status(&ticket).await.expect(401);
    bob.connect().await.expect_close(4401).await;
    assert_eq!(stub.requests().len(), 2, "a refusal holds for a moment");
    assert_eq!(ada.state(&ticket).await, "pending", "so does an admission");
    assert_eq!(ada.connect().await.close_code(), None);
    let cleo = server.user_with_claims("cleo", &tokens::claims_with("cleo", "iss", json!("x")));
    cleo.ask("Easy", "Array").await.expect(401);
    assert_eq!(stub.requests().len(), 2, "nobody asks about a bad token");
}

#[actix_rt::test]
async fn a_user_service_that_is_away_is_503_soon_and_what_is_open_stays_open() {
    let stub = Stub::new(admits()).await;
    let server = server_with(&stub).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let faults = [
        ("hang", Conduct::Hang),
        ("hang in the body", Conduct::HangInBody),
        ("fail", Conduct::Answer(500, "{}".into())),
        ("garbage", Conduct::Garbage),
        ("close", Conduct::Close),
        ("redirect", Conduct::Redirect(stub.base())),
    ];

    for (fault, conduct) in faults {
        stub.now(conduct);
        let newcomer = server.user(&format!("newcomer to {fault}"));
        let begun = Instant::now();
        let asking = join_all((0..30).map(|_| newcomer.ask("Easy", "Array")));
        let others = async {
            for path in ["/livez", "/readyz", "/health"] {
                let read = server.get(path);
                within_time(BOUNDED, path, read).await.expect(200);
            }
            let read = server.match_status(&pair.match_id);
            within_time(BOUNDED, "a match", read).await.expect(200);
            let read = server.session(&session);
            within_time(BOUNDED, "a session", read).await.expect(200);
            let read = pair.first.active_session();
            within_time(BOUNDED, "who is known", read).await.expect(200);
        };
        let (asked, ()) = futures_util::future::join(asking, others).await;
        let took = begun.elapsed();
        for reply in asked {
            reply.expect(503);
        }
        assert!(is_in_time(took, BOUNDED), "{fault}: {took:?}");
        let path = format!("/ws?token={}", newcomer.token);
        let mut handshake = Raw::connect(server.api()).await;
        handshake.send(upgrade(&path, "")).await;
        handshake.reply().await.expect("an answer").expect(503);
    }

    stub.now(admits());
    server
        .user("newcomer to hang")
        .open_ticket("Easy", "Array")
        .await;
    let failed = r#"matchmaker_service_calls_total{service="users",result="failed"}"#;
    assert!(server.metric(failed).await >= 6.0);
}
