//! The server ends itself while it gives up a match for which no question can be had.

use std::time::Duration;

use super::looks::shared_neighbours;
use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// Half a minute after the window, and what a busy machine adds.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(45);
/// After a restart a window that ran out meanwhile gets ten seconds more, and then this half minute.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(60);

async fn gives_up_after_a_crash(place: &str) {
    let stub = Stub::new(Conduct::Answer(500, "{}".into())).await;
    let server = Options::on(Backends::from(shared_neighbours()))
        .with("QUESTION_SERVICE_URL", stub.base())
        .with("CONFIRM_MATCH_TIMEOUT_SECONDS", 1)
        .start()
        .await;
    server.restart_until(place).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    pair.second.confirm(&pair.match_id, true).await.expect(503);

    server.crashes_within(GIVEN_UP_WITHIN).await;
    server.restart_for_good().await;

    for (user, ticket) in [
        (&pair.first, &pair.first_ticket),
        (&pair.second, &pair.second_ticket),
    ] {
        let met_again = within(PUT_BACK_WITHIN, "both are back and met again", async || {
            let reply = user.status(ticket).await;
            let found = reply.expect(200)["match_id"].as_str().map(str::to_owned);
            found.filter(|id| *id != pair.match_id)
        });
        met_again.await;
    }
    server.match_status(&pair.match_id).await.expect(404);
    pair.first.active_session().await.expect(404);
}

#[actix_rt::test]
async fn between_any_two_steps_of_giving_a_match_up_both_are_put_back_and_nothing_is_left() {
    // All at the same time, since each waits for half a minute.
    let places = [
        "before:give_match_up",
        "after:give_match_up",
        "before:unshare_session",
    ];
    join_all(places.map(gives_up_after_a_crash)).await;
}
