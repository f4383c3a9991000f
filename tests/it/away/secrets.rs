//! What the log says of the neighbours, however much it is to say.

use super::looks::{awaits, shared_neighbours};
use crate::harness::*;
use crate::servers;

#[actix_rt::test]
async fn no_password_stands_in_the_log_at_any_level_and_in_no_spelling() {
    let options = Options::on(Backends::from(shared_neighbours())).with("LOG_LEVEL", "TRACE");
    let server = options.start().await;
    awaits(&server, 200, &[]).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.open_session().await;

    let output = server.output();

    assert!(output.contains("became session"), "it is logged at all");
    let bytes: Vec<String> = servers::PASSWORD.bytes().map(|it| it.to_string()).collect();
    for spelling in [servers::PASSWORD.to_owned(), bytes.join(", ")] {
        let found = output.lines().find(|line| line.contains(&spelling));
        assert_eq!(found, None);
    }
}
