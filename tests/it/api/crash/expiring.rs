//! The server ends itself while a confirmation window ends in which not both were silent, or not for
//! the first time.

use std::time::Duration;

use futures_util::future::join;

use crate::harness::*;

/// After a restart a window that ran out meanwhile gets ten seconds more.
const PATIENCE: Duration = Duration::from_secs(15);
const WINDOW: &str = "CONFIRM_MATCH_TIMEOUT_SECONDS";

/// Ends itself where it was told to, and starts again; windows are long from then on.
async fn crash_and_return(server: &Server) {
    server.crashes().await;
    server.set(WINDOW, 120);
    server.restart_for_good().await;
}

async fn is_over(server: &Server, match_id: &str) {
    within(PATIENCE, "the match is over", async || {
        (server.match_status(match_id).await.status == 404).then_some(())
    })
    .await;
}

async fn one_says_yes(when: &str) {
    let options = Server::with(WINDOW, 1.5).with("CRASH_AT", format!("{when}:expire_match"));
    let server = options.start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);

    crash_and_return(&server).await;

    is_over(&server, &pair.match_id).await;
    let again = pair.first.ask("Easy", "Array").await;
    let again = again.expect(200);
    assert_eq!(text(again, "id"), pair.first_ticket, "{when}: put back");
    assert_eq!(
        text(again, "status"),
        "pending",
        "{when}: they do not meet again"
    );
    assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
    for (user, ticket) in [
        (&pair.first, &pair.first_ticket),
        (&pair.second, &pair.second_ticket),
    ] {
        let newcomer = server.user(&format!("partner of {}", user.id));
        let partners = newcomer.open_ticket("Easy", "Array").await;
        let met = newcomer.matched(&partners).await;
        assert_eq!(user.matched(ticket).await, met, "{when}: in the old place");
    }
}

async fn one_is_silent_again(when: &str) {
    let server = Server::with(WINDOW, 1).start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, true).await.expect(200);
    pair.second.reaches(&pair.second_ticket, "pending").await;
    pair.second.cancel(&pair.second_ticket).await.expect(200);
    server.restart_until(&format!("{when}:expire_match")).await;
    let cleo = server.user("cleo");
    let newer = cleo.open_ticket("Easy", "Array").await;

    crash_and_return(&server).await;

    let ended = async || {
        let state = pair.first.state(&pair.first_ticket).await;
        (state == "timeout").then_some(())
    };
    within(PATIENCE, "the second silence ends the ticket", ended).await;
    assert_eq!(
        cleo.state(&newer).await,
        "pending",
        "{when}: a first silence"
    );
    pair.first.open_ticket("Hard", "Graph").await;
}

#[actix_rt::test]
async fn between_the_steps_of_an_end_by_time_a_yes_and_a_first_silence_keep_their_places_a_second_ends()
 {
    // All at the same time, since each may wait for those ten seconds.
    let yes = join_all(["before", "after"].map(one_says_yes));
    let silent = join_all(["before", "after"].map(one_is_silent_again));
    join(yes, silent).await;
}
