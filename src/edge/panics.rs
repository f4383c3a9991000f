//! Notices when a thread panics whose work cannot go on without what it knew.
//!
//! Requests and sockets are served on the thread of the actors as well; a panic there costs the one who
//! asked, and nobody else: see `Contained`.

use std::cell::Cell;
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::sync::Notify;
use tracing::error;

thread_local! {
    static MUST_NOT_PANIC: Cell<bool> = const { Cell::new(false) };
}

/// Declares that a panic on this thread ends the process. An actor that has panicked is gone for
/// good: no supervision revives it, and its mailbox swallows what it is sent.
pub fn mark_thread() {
    MUST_NOT_PANIC.set(true);
}

/// Logs every panic, and notifies of one on a marked thread.
pub fn watch() -> Arc<Notify> {
    let notify = Arc::new(Notify::new());
    let notifier = Arc::clone(&notify);
    panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a text");
        error!(place, "panicked at {place}: {text}");
        if MUST_NOT_PANIC.get() {
            notifier.notify_one();
        }
    }));
    notify
}

/// Work, or the body of an answer, of which a panic concerns only who asked for it, on whatever thread
/// it runs. The panic goes on to whoever polls this.
pub(crate) struct Contained<T>(pub(crate) T);

/// Until it is dropped, a panic on this thread is not to be noticed.
struct Containment {
    must_not_panic: bool,
}

impl Containment {
    fn begin() -> Self {
        let must_not_panic = MUST_NOT_PANIC.replace(false);
        Self { must_not_panic }
    }
}

impl Drop for Containment {
    fn drop(&mut self) {
        MUST_NOT_PANIC.set(self.must_not_panic);
    }
}

impl<F: Future + Unpin> Future for Contained<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _contained = Containment::begin();
        Pin::new(&mut self.0).poll(context)
    }
}

impl MessageBody for Contained<BoxBody> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.0.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let _contained = Containment::begin();
        Pin::new(&mut self.0).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{poll_fn, ready};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures_util::FutureExt;

    use super::*;

    /// Whether a panic would be noticed while this is polled.
    async fn is_noticed() -> bool {
        poll_fn(|_| Poll::Ready(MUST_NOT_PANIC.get())).await
    }

    #[test]
    fn a_contained_panic_concerns_nobody_else_and_those_after_it_are_noticed_again() {
        mark_thread();

        let meanwhile = Contained(Box::pin(is_noticed())).now_or_never();
        let panicking = Contained(Box::pin(ready(()).map(|()| panic!("on purpose"))));
        let panicked = catch_unwind(AssertUnwindSafe(|| panicking.now_or_never()));

        assert_eq!(meanwhile, Some(false));
        assert!(panicked.is_err());
        assert_eq!(is_noticed().now_or_never(), Some(true));
    }
}
