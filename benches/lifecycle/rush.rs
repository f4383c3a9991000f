//! Requests one after the other on each of some connections, as fast as they are answered.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::client::{Answer, Connection, Fault, Target};

/// What a rush came to.
#[derive(Debug, Clone, Copy)]
pub struct Rush {
    pub took: Duration,
    /// Answers other than 200.
    pub errors: u64,
}

/// Sends the request of each number; `take` gets the bodies of the answers that are 200.
///
/// # Errors
///
/// The first connection that fails ends all of it.
pub async fn rush(
    target: &Target,
    connections: usize,
    numbers: Range<usize>,
    request: &impl Fn(usize) -> Vec<u8>,
    take: impl FnMut(usize, &[u8]),
) -> Result<Rush, Fault> {
    let opened = (0..connections).map(|_| Connection::open(target));
    let opened = try_join_all(opened).await?;
    let began = Instant::now();
    let shared = RefCell::new((numbers, take, 0));
    let shared = &shared;
    let answered = |number, answer: &Answer| {
        let (_, take, errors) = &mut *shared.borrow_mut();
        match answer.status {
            200 => take(number, &answer.body),
            _ => *errors += 1,
        }
    };
    let serve = async |mut connection: Connection| {
        loop {
            let next = shared.borrow_mut().0.next();
            let Some(number) = next else {
                return Ok::<_, Fault>(());
            };
            let answer = connection.call(&request(number)).await?;
            answered(number, &answer);
            if !connection.is_reusable() {
                connection = Connection::open(target).await?;
            }
        }
    };
    try_join_all(opened.into_iter().map(serve)).await?;
    Ok(Rush {
        took: began.elapsed(),
        errors: shared.borrow().2,
    })
}
