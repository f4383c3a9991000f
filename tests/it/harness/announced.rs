//! What is published.

use crate::contract;
use crate::servers::Collaboration;

/// Hears of sessions as the collaboration service does. Fails where one is announced in another way than
/// the server's own document says.
pub async fn hear(url: &str) -> lapin::Result<Collaboration> {
    Collaboration::listen_and_check(url, contract::assert_announcement).await
}
