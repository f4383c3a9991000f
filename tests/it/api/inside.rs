//! What operators see of the inside: the metrics' names and bounds, the state of the actors, and the
//! timeline of one ticket.

use std::collections::BTreeSet;

use matchmaker::observability::{Kind, METRICS};
use serde_json::Value;

use crate::harness::*;

/// The name and the labels of every sample.
fn samples(text: &str) -> Vec<(String, Vec<String>)> {
    let lines = text
        .lines()
        .filter(|it| !it.starts_with('#') && !it.is_empty());
    let sample = |line: &str| {
        let (name, rest) = line.split_once(['{', ' ']).expect("a name and a value");
        let labelled = if line.contains('{') { rest } else { "" };
        let labels = labelled
            .split("=\"")
            .filter_map(|part| part.rsplit([',', '{']).next());
        let is_name = |it: &&str| it.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let labels = labels.filter(|it| !it.is_empty()).filter(is_name);
        (name.to_owned(), labels.map(str::to_owned).collect())
    };
    lines.map(sample).collect()
}

async fn metrics(server: &Server) -> String {
    let reply = server.get("/metrics").await;
    reply.expect(200);
    reply.text
}

/// The value of the sample that begins so, with its labels.
#[track_caller]
fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample} in {text}"));
    line.trim().parse().expect("a number")
}

#[actix_rt::test]
async fn every_sample_has_a_name_labels_and_a_help_of_the_list() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    pair.first.leave(&session).await.expect(200);
    server.get("/nowhere").await.expect(404);

    let text = metrics(&server).await;

    let of_series = ["_bucket", "_sum", "_count"];
    for (sample, labels) in samples(&text) {
        let base = of_series.iter().find_map(|end| sample.strip_suffix(end));
        let known = METRICS
            .iter()
            .find(|it| it.name == sample || Some(it.name) == base);
        let metric = known.unwrap_or_else(|| panic!("{sample} is not in the list"));
        let allowed: BTreeSet<&str> = metric.labels.iter().copied().chain(["le"]).collect();
        for label in &labels {
            assert!(allowed.contains(label.as_str()), "{label} of {sample}");
        }
        let help = format!("# HELP {} {}\n", metric.name, metric.help.trim());
        assert!(text.contains(&help), "no help for {sample}");
    }
    let counters = METRICS.iter().filter(|it| it.kind == Kind::Counter);
    for counter in counters.filter(|it| it.labels.is_empty()) {
        value(&text, &format!("{} ", counter.name));
    }
    assert_eq!(value(&text, "matchmaker_time_to_match_seconds_count "), 2.0);
    for name in [
        "matchmaker_time_to_confirm_seconds_count",
        "matchmaker_sessions_opened_total",
        "matchmaker_sessions_left_total",
    ] {
        assert_eq!(value(&text, &format!("{name} ")), 1.0, "{name}");
    }
    let asked = "matchmaker_http_requests_total{route=\"/request\",code=\"200\"}";
    assert_eq!(value(&text, asked), 2.0);
    let lost = "matchmaker_http_requests_total{route=\"none\",code=\"404\"}";
    assert_eq!(value(&text, lost), 1.0);
}

#[actix_rt::test]
async fn labels_never_name_a_user_and_topics_only_up_to_the_configured_number() {
    let server = Server::with("METRICS_BUCKETS_MAX", 2).start().await;
    for (number, topic) in ["First", "Second", "Third \"one\"", "Fourth"]
        .iter()
        .enumerate()
    {
        let user = server.user(&format!("someone-who-waits-{number}"));
        user.open_ticket("Hard", topic).await;
    }

    let text = metrics(&server).await;

    assert!(!text.contains("someone-who-waits"), "{text}");
    assert!(!text.to_lowercase().contains("third"), "{text}");
    let waiting = "matchmaker_bucket_tickets_waiting{difficulty=";
    assert_eq!(
        value(&text, &format!("{waiting}\"Hard\",topic=\"first\"}}")),
        1.0
    );
    assert_eq!(
        value(&text, &format!("{waiting}\"Hard\",topic=\"second\"}}")),
        1.0
    );
    assert_eq!(
        value(&text, &format!("{waiting}\"other\",topic=\"other\"}}")),
        2.0
    );
    assert_eq!(value(&text, "matchmaker_tickets_waiting "), 4.0);
}

#[actix_rt::test]
async fn the_actors_are_shown_page_by_page_and_one_bucket_with_its_queue() {
    let server = Server::start().await;
    for number in 0..5 {
        let user = server.user(&format!("user {number}"));
        user.open_ticket("Easy", &format!("Topic {number}")).await;
    }
    let ticket = server.user("someone").open_ticket("Hard", "Trees").await;

    let page = server.get("/debug/actors?limit=2&offset=4").await;
    let searched = server.get("/debug/actors?search=TOPIC&order=waiting").await;
    let one = server.get("/debug/actors?bucket=hard:TREES").await;

    let topics = |reply: &Reply| -> Vec<String> {
        let buckets = reply.expect(200)["buckets"].as_array().cloned();
        let topic = |it: &Value| text(it, "topic").to_owned();
        buckets.unwrap_or_default().iter().map(topic).collect()
    };
    assert_eq!(topics(&page), ["topic 4", "trees"]);
    assert_eq!(page.json["buckets_total"], 6);
    assert_eq!(topics(&searched).len(), 5);
    assert_eq!(searched.json["buckets_found"], 5);
    assert_eq!(topics(&one), ["trees"]);
    let queue = one.json["queue"].as_array().expect("who waits there");
    assert_eq!(queue.len(), 1, "{}", one.text);
    assert_eq!(queue[0]["ticket_id"], ticket.as_str());
    assert_eq!(queue[0]["user_id"], "someone");
    let behind = format!("/debug/actors?bucket=hard:trees&after={ticket}");
    let behind = server.get(&behind).await;
    assert_eq!(behind.expect(200)["queue"], serde_json::json!([]));
}

#[actix_rt::test]
async fn a_query_that_cannot_be_answered_says_why() {
    let server = Server::start().await;

    for (query, status) in [
        ("limit=0", 400),
        ("limit=1001", 400),
        ("limit=many", 400),
        ("order=size", 400),
        ("bucket=Easy", 400),
        ("bucket=Extreme:Array", 400),
        ("bucket=Easy:Nobody%20here", 404),
    ] {
        let reply = server.get(&format!("/debug/actors?{query}")).await;
        reply.expect(status);
    }
    for id in ["nobody", "0199d3c6-0000-7000-8000-000000000000"] {
        let reply = server.get(&format!("/debug/tickets/{id}")).await;
        reply.expect_error(404, "Ticket not found");
    }
}

#[actix_rt::test]
async fn matches_and_sessions_are_shown_with_their_deadlines() {
    let server = Server::start().await;
    let members = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = members.open_session().await;
    let pair = scenes::pair(&server, "cleo", "dan", "Array").await;

    let shown = server.get("/debug/actors").await;

    let sessions = &shown.expect(200)["sessions"];
    assert_eq!(sessions["open"], 1);
    assert_eq!(sessions["total"], 2);
    let first = &sessions["items"][0];
    assert_eq!(first["state"], "proposed", "{sessions}");
    assert_eq!(first["match_id"], pair.match_id.as_str());
    let due_in = first["due_in_ms"].as_u64().expect("a deadline");
    assert!((60_000..=120_000).contains(&due_in), "{due_in}");
    assert_eq!(sessions["items"][1]["session_id"], session.as_str());
    assert_eq!(shown.json["matches"]["in_session"], 1);
}

async fn timeline(server: &Server, ticket: &str) -> Value {
    let reply = server.get(&format!("/debug/tickets/{ticket}")).await;
    reply.expect(200).clone()
}

fn words<'a>(timeline: &'a Value, source: &str) -> Vec<&'a str> {
    let entries = timeline["timeline"].as_array().expect("a list");
    let of_source = entries.iter().filter(|it| it["source"] == source);
    of_source.map(|it| text(it, "what")).collect()
}

#[actix_rt::test]
async fn a_ticket_tells_its_way_from_the_ask_to_the_end_of_its_session() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    for user in [&pair.first, &pair.second] {
        user.leave(&session).await.expect(200);
    }

    let told = timeline(&server, &pair.first_ticket).await;

    assert_eq!(told["user_id"], "ada");
    assert_eq!(told["status"], "in_session");
    assert_eq!(told["why"], "Its session is over: both left.");
    let decided = ["waits", "proposed", "matched", "confirmed", "in_session"];
    assert_eq!(words(&told, "decision")[..5], decided);
    let stored = words(&told, "stored");
    for what in [
        "asked",
        "proposal",
        "match_over",
        "session",
        "left",
        "ended",
    ] {
        assert!(stored.contains(&what), "no {what} in {told}");
    }
    let times: Vec<&str> = told["timeline"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| text(it, "at"))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[actix_rt::test]
async fn a_ticket_that_waits_says_why() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let [cleo, dan, eve] = ["cleo", "dan", "eve"].map(|name| server.user(name));
    let alone = cleo.open_ticket("Hard", "Trees").await;
    let first = dan.open_ticket("Easy", "Array").await;
    let second = eve.open_ticket("Easy", "Array").await;

    let lonely = timeline(&server, &alone).await;
    let full = timeline(&server, &second).await;
    pair.first.confirm(&pair.match_id, false).await.expect(200);
    dan.matched(&first).await;
    let matched = timeline(&server, &first).await;

    assert_eq!(lonely["status"], "waiting");
    assert_eq!(lonely["why"], "Nobody else waits in its bucket.");
    assert_eq!(lonely["place"], 1);
    let limit = "There are as many unconfirmed matches as MAX_CONCURRENT_MATCHES allows.";
    assert_eq!(full["why"], limit);
    assert_eq!(full["place"], 2);
    assert!(
        text(&matched, "why").starts_with("Nobody has confirmed"),
        "{matched}"
    );
}

#[actix_rt::test]
async fn a_ticket_that_nobody_may_meet_says_that_declines_are_why() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, false).await.expect(200);
    let again = pair.first.open_ticket("Easy", "Array").await;

    let told = timeline(&server, &pair.second_ticket).await;

    assert_eq!(told["status"], "waiting");
    let why = "It may not meet the only other one in its bucket, because of declines and silences.";
    assert_eq!(told["why"], why);
    let decided = words(&told, "decision");
    assert_eq!(decided[decided.len() - 2..], ["put_back", "waits"]);
    assert_eq!(pair.first.state(&again).await, "pending");
}

#[actix_rt::test]
async fn a_timeline_survives_a_restart_as_far_as_it_is_stored() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    server.restart().await;

    let told = timeline(&server, &pair.first_ticket).await;

    assert_eq!(told["status"], "matched");
    assert_eq!(words(&told, "stored"), ["asked", "proposal"]);
}
