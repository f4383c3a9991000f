//! What only operators may see, on a server that is no developer's.

use crate::harness::*;

const ADMIN: &str = "a-token-of-operators-that-nobody-guesses";

/// A server outside dev. Its question service is away, which nobody here needs.
async fn production() -> Server {
    Options::on(Backends::real())
        .with("ENV", "production")
        .with("QUESTION_SERVICE_URL", "http://127.0.0.1:9")
        .with(
            "AUTH_ACCESS_SECRET",
            "a secret of more than thirty-two bytes",
        )
        .with("ADMIN_TOKEN", ADMIN)
        .start()
        .await
}

#[actix_rt::test]
async fn outside_dev_the_inside_is_shown_to_whoever_has_the_admin_token_only() {
    let server = production().await;
    let ticket = "/debug/tickets/0199d3c6-0000-7000-8000-000000000000";
    let longer = format!("{ADMIN}x");
    let shorter = &ADMIN[..ADMIN.len() - 1];
    let wrong = ["", "x", &longer, shorter, &ADMIN.to_uppercase()];

    for (path, status) in [("/metrics", 200), ("/debug/actors", 200), (ticket, 404)] {
        let get = || server.api().request(Method::GET, path);
        get().send().await.expect(401);
        for token in wrong {
            get().bearer(token).send().await.expect(401);
        }
        for header in [format!("Basic {ADMIN}"), ADMIN.to_owned()] {
            let asked = get().header("authorization", header);
            asked.send().await.expect(401);
        }
        let in_query = format!("{path}?token={ADMIN}&admin_token={ADMIN}");
        server.get(&in_query).await.expect(401);
        get().bearer(ADMIN).send().await.expect(status);
    }
}

#[actix_rt::test]
async fn outside_dev_pages_show_nothing_and_nobody_gets_a_token() {
    let server = production().await;

    let home = server.get("/").await;
    let admin = server.get("/admin").await;
    let body = serde_json::json!({"user_id": "ada"});
    let minted = server.api().request(Method::POST, "/dev/token").json(&body);

    assert!(home.expect(200)["description"].is_string(), "{}", home.text);
    assert_eq!(admin.status, 200, "the page alone, without data");
    minted.send().await.expect(404);
}
