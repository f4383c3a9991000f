//! What operators and monitors read.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::*;

#[actix_rt::test]
async fn health_says_who_this_is() {
    let server = Server::start().await;

    let reply = server.get("/health").await;

    let health = reply.expect(200);
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["environment"], "dev");
    assert_eq!(health["service"], "peerprep-matching-service");
    assert_eq!(health["port"], server.api().port());
}

#[actix_rt::test]
async fn liveness_and_readiness_are_200_on_a_server_that_serves() {
    let server = Server::start().await;

    for path in ["/livez", "/readyz"] {
        server.get(path).await.expect(200);
    }
}

#[actix_rt::test]
async fn metrics_are_prometheus_text_and_move_with_what_happens() {
    let server = Server::start().await;
    let before = metrics(&server).await;

    let session = scenes::pair(&server, "ada", "bob", "Array")
        .await
        .open_session()
        .await;
    server.session(&session).await.expect(200);

    let after = metrics(&server).await;
    let grown = after
        .iter()
        .filter(|(name, value)| before.get(*name).unwrap_or(&0.0) < value);
    assert!(grown.count() >= 3, "hardly anything is counted: {after:#?}");
}

/// All samples by name with labels; fails when a line is neither a comment nor a sample.
async fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let reply = server.get("/metrics").await;
    reply.expect(200);
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "{kind}");

    let lines = reply
        .text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(sample).collect()
}

#[track_caller]
fn sample(line: &str) -> (String, f64) {
    let (name, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no sample: {line}"));
    let bare = name.split('{').next().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    assert!(
        !bare.is_empty() && bare.chars().all(fits),
        "no name: {line}"
    );
    assert_eq!(
        name.contains('{'),
        name.ends_with('}'),
        "labels are not closed: {line}"
    );
    let value = value.parse().unwrap_or_else(|_| panic!("no value: {line}"));
    (name.to_owned(), value)
}

#[actix_rt::test]
async fn the_actors_show_what_is_in_them() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let empty = server.get("/debug/actors").await;
    for field in ["buckets", "matches", "sockets"] {
        assert!(
            !empty.expect(200)[field].is_null(),
            "no `{field}` in {}",
            empty.text
        );
    }

    scenes::pair(&server, "ada", "bob", "Array").await;
    let cleo = server.user("cleo");
    cleo.open_ticket("Hard", "A very special topic").await;
    let _screens = join_all((0..3).map(|_| cleo.connect())).await;

    eventually("the actors are shown", async || {
        let reply = server.get("/debug/actors").await;
        let shown = reply.expect(200)["buckets"].to_string().to_lowercase();
        (shown.contains("a very special topic") && reply.text != empty.text).then_some(())
    })
    .await;
    let shown = server.get("/debug/actors").await;
    assert_ne!(shown.json["matches"], empty.json["matches"]);
    assert_ne!(shown.json["sockets"], empty.json["sockets"]);
}

#[actix_rt::test]
async fn in_dev_the_root_is_a_page_that_needs_no_network() {
    let server = Server::start().await;

    let reply = server.get("/").await;

    assert_eq!(reply.status, 200);
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/html"), "{kind}");
    let page = reply.text.to_lowercase();
    assert!(page.contains("<html"), "{page}");
    for foreign in [
        "src=\"http",
        "href=\"http",
        "src=\"//",
        "href=\"//",
        "@import",
        "url(http",
    ] {
        assert!(
            !page.contains(foreign),
            "the page loads something: {foreign}"
        );
    }
}

#[actix_rt::test]
async fn the_documentation_describes_every_endpoint() {
    let server = Server::start().await;

    let reply = server.get("/openapi.json").await;

    let paths = reply.expect(200)["paths"]
        .as_object()
        .expect("it lists paths");
    for (path, method) in [
        ("/request", "post"),
        ("/request/{request_id}", "delete"),
        ("/requests/{request_id}/status", "get"),
        ("/confirm", "post"),
        ("/{match_id}/status", "get"),
        ("/sessions/active", "get"),
        ("/session/{session_id}", "get"),
        ("/sessions/leave", "post"),
    ] {
        let path = format!("{PREFIX}{path}");
        assert!(
            paths.get(&path).is_some_and(|item| !item[method].is_null()),
            "{method} {path}"
        );
    }
    let page = server.get("/docs").await;
    assert!(
        [200, 301, 302, 303, 307, 308].contains(&page.status),
        "{}",
        page.status
    );
}

#[actix_rt::test]
async fn pages_run_nothing_but_what_stands_in_them() {
    let server = Server::start().await;

    for path in ["/", "/admin", "/docs"] {
        let reply = server.get(path).await;
        let policy = reply.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        for handler in [" onclick=", " onload=", " style=", "javascript:"] {
            assert!(!reply.text.contains(handler), "{path} has {handler}");
        }
        // Topics and user ids are shown as text, whatever stands in them.
        for parser in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "createContextualFragment",
            "srcdoc",
            "eval(",
            "Function(",
        ] {
            assert!(!reply.text.contains(parser), "{path} has {parser}");
        }
    }
}

#[actix_rt::test]
async fn what_is_somebodys_own_stays_out_of_every_cache() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let ticket = pair.first.status(&pair.first_ticket).await;
    let open = server.match_status(&pair.match_id).await;
    let session = pair.open_session().await;
    let long = server.get(&format!("/{}", "x".repeat(9_000))).await;

    for (reply, status) in [
        (ticket, 200),
        (open, 200),
        (pair.first.active_session().await, 200),
        (server.session(&session).await, 200),
        (pair.first.ask("Extreme", "Array").await, 400),
        (server.get(&format!("{PREFIX}/sessions/active")).await, 401),
        (server.get("/nowhere").await, 404),
        (long, 414),
        (server.get("/debug/actors").await, 200),
        (server.get("/metrics").await, 200),
        (server.get("/admin").await, 200),
    ] {
        assert_eq!(reply.status, status, "{}: {}", reply.what, reply.text);
        let said = reply.header("cache-control");
        assert_eq!(said, Some("no-store"), "{}", reply.what);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    }
}

#[actix_rt::test]
async fn the_admin_page_is_there() {
    let server = Server::start().await;

    let reply = server.get("/admin").await;

    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(
        reply
            .header("content-type")
            .unwrap_or_default()
            .starts_with("text/html")
    );
}

#[actix_rt::test]
async fn every_answer_names_its_request() {
    let server = Server::start().await;

    let answers = [server.get("/health").await, server.get("/nowhere").await];

    let ids: BTreeSet<&str> = answers
        .iter()
        .map(|answer| answer.header("x-request-id").expect("an id"))
        .collect();
    assert_eq!(ids.len(), 2);
}
