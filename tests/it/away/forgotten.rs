//! Connections that a device on the way has forgotten while nobody used them.

use std::time::Duration;

use super::looks::{Ways, shared_neighbours};
use super::{AT_ONCE, in_time};
use crate::harness::*;

/// Unused for longer than a connection is trusted without being asked.
const UNUSED: Duration = Duration::from_millis(2_500);

#[actix_rt::test]
async fn a_database_whose_connections_were_forgotten_meanwhile_keeps_nobody_waiting() {
    let neighbours = shared_neighbours();
    let ways = Ways::to(&neighbours);
    ways.open();
    let server = ways.options(neighbours).start().await;
    let users: Vec<User> = (0..8)
        .map(|it| server.user(&format!("user {it}")))
        .collect();
    let ask = |user: &User| in_time(AT_ONCE, user.asking("Hard", &user.id));
    let asked = join_all(users.iter().map(ask)).await;

    ways.postgres.blackhole();
    // Every connection finds its way gone.
    let_pass(Duration::from_millis(50)).await;
    ways.postgres.open();
    let_pass(UNUSED).await;

    let withdrawn = users.iter().zip(&asked).map(|(user, asked)| {
        let ticket = text(asked.expect(200), "id");
        in_time(AT_ONCE, user.cancelling(ticket))
    });
    for reply in join_all(withdrawn).await {
        reply.expect(200);
    }
    let unknown = format!("/requests/{}/status", uuid::Uuid::new_v4());
    let cold = in_time(AT_ONCE, users[0].request(Method::GET, &unknown)).await;
    cold.expect(404);
}
