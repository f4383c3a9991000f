//! Which pages in a browser may call: contract §3 and §9.

use crate::harness::*;

#[actix_rt::test]
async fn in_dev_pages_of_any_origin_may_call_but_never_with_credentials() {
    let server = Server::start().await;

    let simple = server
        .request(Method::GET, "/health")
        .header("origin", "https://any.example");
    let simple = simple.send().await;
    simple.expect(200);
    let allowed = simple.header("access-control-allow-origin");
    assert!(
        matches!(allowed, Some("*" | "https://any.example")),
        "{allowed:?}"
    );
    assert_eq!(simple.header("access-control-allow-credentials"), None);

    let preflight = preflight(&server, "https://any.example").await;
    assert!([200, 204].contains(&preflight.status), "{}", preflight.text);
    let listed = |name| preflight.header(name).unwrap_or_default().to_lowercase();
    assert!(listed("access-control-allow-headers").contains("authorization"));
    assert!(listed("access-control-allow-methods").contains("post"));
    assert_eq!(preflight.header("access-control-allow-credentials"), None);
}

#[actix_rt::test]
async fn listed_origins_may_call_and_no_others() {
    let listed = "https://app.example,http://localhost:3000";
    let server = Server::with("CORS_ALLOWED_ORIGINS", listed).start().await;

    for origin in ["https://app.example", "http://localhost:3000"] {
        let reply = preflight(&server, origin).await;
        assert!(
            [200, 204].contains(&reply.status),
            "{origin}: {}",
            reply.text
        );
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
    }
    for origin in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil.example",
        "https://app.example@evil.example",
        "https://evil-app.example",
        "https://app.example,https://evil.example",
        "null",
    ] {
        let reply = preflight(&server, origin).await;
        assert_eq!(
            reply.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
        let simple = server
            .request(Method::GET, "/health")
            .header("origin", origin);
        let simple = simple.send().await;
        assert_eq!(
            simple.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
    }
    // Whoever is no browser sends no origin, and is not concerned.
    server.user("ada").open_ticket("Easy", "Array").await;
}

#[actix_rt::test]
async fn errors_can_be_read_by_pages_too() {
    let server = Server::start().await;

    let request = server.request(Method::POST, &format!("{PREFIX}/request"));
    let refused = request.header("origin", "https://any.example").send().await;

    refused.expect(401);
    assert!(refused.header("access-control-allow-origin").is_some());
    // Else a page would not know how long to wait.
    let readable = refused.header("access-control-expose-headers");
    assert!(
        readable.is_some_and(|names| names.contains("retry-after")),
        "{readable:?}"
    );
    let long = format!("/{}", "a".repeat(10_000));
    let request = server.request(Method::GET, &long);
    let refused = request.header("origin", "https://any.example").send().await;
    refused.expect(414);
    assert!(refused.header("access-control-allow-origin").is_some());
}

/// What a browser asks before a page of `origin` may ask for a partner.
async fn preflight(server: &Server, origin: &str) -> Reply {
    let request = server.request(Method::OPTIONS, &format!("{PREFIX}/request"));
    request
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .await
}
