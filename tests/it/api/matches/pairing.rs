//! Who is paired with whom, and how both hear of it.

use std::collections::{HashMap, HashSet};

use crate::harness::*;

#[actix_rt::test]
async fn both_are_told_one_match_each_others_id_and_their_own_spelling() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let (ada_screen, bob_screen) = (ada.connect().await, bob.connect().await);

    let ticket = ada.open_ticket("easy", " Hash  Table ").await;
    bob.open_ticket("EASY", "hash table").await;

    let to_ada = ada_screen.next_event("match_found").await;
    let to_bob = bob_screen.next_event("match_found").await;
    assert_eq!(text(&to_ada, "match_id"), ada.matched(&ticket).await);
    assert_eq!(to_ada["match_id"], to_bob["match_id"]);
    assert_eq!(
        (text(&to_ada, "partner_id"), text(&to_bob, "partner_id")),
        ("bob", "ada")
    );
    assert_eq!(
        (text(&to_ada, "topic"), text(&to_bob, "topic")),
        ("Hash  Table", "hash table")
    );
    assert_eq!(
        (text(&to_ada, "difficulty"), text(&to_bob, "difficulty")),
        ("Easy", "Easy")
    );
    assert_eq!(to_ada["expires_at"], to_bob["expires_at"]);
    let expires_in = unix_seconds(text(&to_ada, "expires_at")) - unix_now();
    assert!(
        expires_in > 110.0 && expires_in < 121.5,
        "in {expires_in} s"
    );
}

#[actix_rt::test]
async fn two_hundred_users_in_one_bucket_at_once_make_a_hundred_disjoint_pairs() {
    let server = Server::start().await;
    let users: Vec<User> = (0..200)
        .map(|index| server.user(&format!("user-{index}")))
        .collect();
    let mut screens = join_all(users.iter().map(User::connect)).await;

    let tickets = join_all(users.iter().map(asks_until_taken)).await;

    let seats = users.iter().zip(&tickets);
    let found = join_all(seats.map(|(user, ticket)| user.matched(ticket))).await;
    let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
    for (user, match_id) in users.iter().zip(&found) {
        members.entry(match_id).or_default().push(&user.id);
    }
    assert_eq!(members.len(), 100);
    assert!(members.values().all(|pair| pair.len() == 2), "{members:?}");

    for ((user, match_id), screen) in users.iter().zip(&found).zip(&mut screens) {
        let event = screen.next_event("match_found").await;
        assert_eq!(text(&event, "match_id"), match_id);
        let partner = members[match_id.as_str()]
            .iter()
            .find(|member| **member != user.id);
        assert_eq!(Some(&text(&event, "partner_id")), partner);
    }
    assert!(
        screens
            .iter()
            .all(|screen| screen.count("match_found") == 1)
    );
}

#[actix_rt::test]
async fn a_burst_into_a_bucket_that_nobody_used_before_is_taken_whole() {
    let server = Server::start().await;

    for round in 0..15 {
        // So many may be under way however slow the machine is.
        let users: Vec<User> = (0..64)
            .map(|index| server.user(&format!("user {index} of round {round}")))
            .collect();
        // Connections are open by now, so that the asks arrive together.
        join_all(users.iter().map(User::active_session)).await;
        let topic = format!("Topic {round}");

        let asks = users.iter().map(|user| user.ask("Easy", &topic));
        let replies = join_all(asks).await;

        let refused: Vec<&Reply> = replies.iter().filter(|reply| reply.status != 200).collect();
        assert!(refused.is_empty(), "of {}: {refused:#?}", replies.len());
    }
}

#[actix_rt::test]
async fn many_buckets_at_once_pair_only_within_each() {
    let server = Server::start().await;
    let people: Vec<(User, String)> = (0..120)
        .map(|index| {
            (
                server.user(&format!("user-{index}")),
                format!("topic {}", index % 20),
            )
        })
        .collect();

    // More than 64 at once, and a server on a busy machine may refuse some of them.
    let mut tickets = Vec::new();
    for crowd in people.chunks(60) {
        let asks = crowd.iter();
        let asks = asks.map(|(user, topic)| user.open_ticket("Hard", topic));
        tickets.extend(join_all(asks).await);
    }

    let mut topics: HashMap<String, Vec<&str>> = HashMap::new();
    for ((user, topic), ticket) in people.iter().zip(&tickets) {
        topics
            .entry(user.matched(ticket).await)
            .or_default()
            .push(topic);
    }
    assert_eq!(topics.len(), 60);
    for pair in topics.values() {
        assert_eq!(pair.len(), 2);
        assert_eq!(pair[0], pair[1]);
    }
}

#[actix_rt::test]
async fn among_those_who_wait_the_earliest_are_paired_first() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let blocking = scenes::pair(&server, "x", "y", "Graph").await;
    let users = ["ada", "bob", "cleo", "dan", "eve", "finn"].map(|name| server.user(name));
    let mut tickets = Vec::new();
    for user in &users {
        tickets.push(user.open_ticket("Easy", "Array").await);
    }

    blocking.open_session().await;
    for first in [0, 2, 4] {
        let match_id = users[first].matched(&tickets[first]).await;
        assert_eq!(
            users[first + 1].matched(&tickets[first + 1]).await,
            match_id
        );
        for later in first + 2..users.len() {
            assert_eq!(users[later].state(&tickets[later]).await, "pending");
        }
        for member in [first, first + 1] {
            users[member].confirm(&match_id, true).await.expect(200);
        }
    }
}

#[actix_rt::test]
async fn at_the_limit_of_matches_everybody_waits_until_one_ends() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let blocking = scenes::pair(&server, "x", "y", "Graph").await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let ticket = ada.open_ticket("Easy", "Array").await;
    let other = bob.open_ticket("Easy", "Array").await;
    let (cleo, dan) = (server.user("cleo"), server.user("dan"));
    let third = cleo.open_ticket("Hard", "Tree").await;
    let fourth = dan.open_ticket("Hard", "Tree").await;

    blocking
        .first
        .confirm(&blocking.match_id, true)
        .await
        .expect(200);
    for (user, ticket) in [
        (&ada, &ticket),
        (&bob, &other),
        (&cleo, &third),
        (&dan, &fourth),
    ] {
        assert_eq!(user.state(ticket).await, "pending", "{}", user.id);
    }
    blocking
        .second
        .confirm(&blocking.match_id, false)
        .await
        .expect(200);

    let matched = eventually("one of the two buckets gets the permit", async || {
        let states = (ada.state(&ticket).await, cleo.state(&third).await);
        (states != ("pending".into(), "pending".into())).then_some(states)
    });
    let states = matched.await;
    assert!(
        states.0 == "pending" || states.1 == "pending",
        "one permit, {states:?}"
    );
    let (user, ticket, rest) = match states.0.as_str() {
        "matched" => (&ada, &ticket, (&cleo, &third)),
        _ => (&cleo, &third, (&ada, &ticket)),
    };
    let match_id = user.matched(ticket).await;
    user.confirm(&match_id, false).await.expect(200);
    rest.0.matched(rest.1).await;
}

#[actix_rt::test]
async fn a_cancel_while_waiting_for_a_permit_takes_the_ticket_out() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let blocking = scenes::pair(&server, "x", "y", "Graph").await;
    let users = ["ada", "bob", "cleo"].map(|name| server.user(name));
    let mut tickets = Vec::new();
    for user in &users {
        tickets.push(user.open_ticket("Easy", "Array").await);
    }

    users[0].cancel(&tickets[0]).await.expect(200);
    blocking.open_session().await;

    let match_id = users[1].matched(&tickets[1]).await;
    assert_eq!(users[2].matched(&tickets[2]).await, match_id);
    assert_eq!(users[0].state(&tickets[0]).await, "cancelled");
}

#[actix_rt::test]
async fn a_socket_that_connects_during_an_unconfirmed_match_hears_of_it_at_once() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;

    let unanswered = pair.first.connect().await.next_event("match_found").await;
    pair.second.confirm(&pair.match_id, true).await.expect(200);
    let half_confirmed = pair.first.connect().await.next_event("match_found").await;
    let confirmed = pair.second.connect().await.next_event("match_found").await;

    assert_eq!(text(&unanswered, "match_id"), pair.match_id);
    assert_eq!(text(&unanswered, "partner_id"), "bob");
    assert_eq!(half_confirmed, unanswered);
    assert_eq!(text(&confirmed, "match_id"), pair.match_id);
    assert_eq!(text(&confirmed, "partner_id"), "ada");
}

#[actix_rt::test]
async fn a_socket_that_connects_after_the_match_ended_hears_nothing_of_it() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);

    let screen = pair.first.connect().await;
    let cleo = server.user("cleo");
    cleo.open_ticket("Easy", "Array").await;

    let event = screen.next_event("match_found").await;
    assert_eq!(text(&event, "partner_id"), "cleo");
    assert_eq!(screen.count("match_found"), 1);
}

#[actix_rt::test]
async fn all_tabs_hear_every_event_and_one_that_closes_mutes_no_other() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let mut tabs = join_all((0..3).map(|_| ada.connect())).await;
    let closing = ada.connect().await;
    let ticket = ada.open_ticket("Easy", "Array").await;
    bob.open_ticket("Easy", "Array").await;
    let match_id = ada.matched(&ticket).await;

    for tab in &mut tabs {
        let event = tab.next_event("match_found").await;
        assert_eq!(text(&event, "match_id"), match_id);
    }
    drop(closing);
    let vanished = tabs.pop();
    drop(vanished);
    ada.confirm(&match_id, true).await.expect(200);
    bob.confirm(&match_id, true).await.expect(200);

    for tab in &mut tabs {
        let event = tab.next_event("match_ready").await;
        assert_eq!(text(&event, "match_id"), match_id);
        assert_eq!((tab.count("match_found"), tab.count("match_ready")), (1, 1));
    }
}

#[actix_rt::test]
async fn events_go_to_the_two_of_a_match_and_nobody_else() {
    let server = Server::start().await;
    let eve = server.user("eve");
    let screen = eve.connect().await;

    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    pair.first.leave(&session).await.expect(200);
    eve.open_ticket("Easy", "Array").await;
    server.user("finn").open_ticket("Easy", "Array").await;

    let own = screen.next_event("match_found").await;
    assert_eq!(text(&own, "partner_id"), "finn");
    assert_eq!(screen.events().len(), 1, "{:?}", screen.events());
}

#[actix_rt::test]
async fn the_match_status_is_open_to_everybody_with_any_token_or_none() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let path = format!("{PREFIX}/{}/status", pair.match_id);
    let unconfirmed = json!({"confirm_status": false, "session_id": null});

    for authorization in ["", "Bearer undefined", "Bearer ", "nonsense"] {
        let request = server
            .request(Method::GET, &path)
            .header("authorization", authorization);
        assert_eq!(
            *request.send().await.expect(200),
            unconfirmed,
            "{authorization}"
        );
    }
    assert_eq!(
        *server.match_status(&pair.match_id).await.expect(200),
        unconfirmed
    );
    let unknown = server.match_status(&uuid::Uuid::new_v4().to_string()).await;
    unknown.expect_error(404, "Match not found");
}

#[actix_rt::test]
async fn match_ids_of_a_run_are_all_different_and_not_guessable() {
    let server = Server::start().await;
    let mut ids = HashSet::new();

    for round in 0..10 {
        let names = (format!("a{round}"), format!("b{round}"));
        let pair = scenes::pair(&server, &names.0, &names.1, "Array").await;
        let id = uuid::Uuid::parse_str(&pair.match_id).expect("a match's id is a uuid");
        ids.insert(id.as_u128() as u64);
    }

    assert_eq!(ids.len(), 10, "the random halves differ");
}

/// Asks, and again when so many at once are too many for the machine.
async fn asks_until_taken(user: &User) -> String {
    let reply = eventually("the ask is taken", async || {
        let reply = user.ask("Easy", "Array").await;
        (reply.status != 503).then_some(reply)
    });
    let reply = reply.await;
    reply.expect(200);
    text(&reply.json, "id").to_owned()
}
