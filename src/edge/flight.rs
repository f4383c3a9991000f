//! Which requests are being answered, so that a server that stops can wait for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the requests that are being answered.
#[derive(Debug, Default)]
pub struct InFlight {
    count: AtomicUsize,
    none_left: Notify,
}

/// One request; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Flight<'a>(&'a InFlight);

impl InFlight {
    pub(super) fn begin(&self) -> Flight<'_> {
        self.count.fetch_add(1, Ordering::AcqRel);
        Flight(self)
    }

    /// Resolves as soon as no request is being answered.
    pub async fn none(&self) {
        loop {
            // Made before the look at the count, or an end in between would not be heard of.
            let none_left = self.none_left.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none_left.await;
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_end_of_the_last_request_is_awaited() {
        let in_flight = InFlight::default();
        assert!(in_flight.none().now_or_never().is_some());
        let (first, second) = (in_flight.begin(), in_flight.begin());
        let mut none = Box::pin(in_flight.none());

        assert!((&mut none).now_or_never().is_none());
        drop(first);
        assert!((&mut none).now_or_never().is_none());
        drop(second);
        assert!((&mut none).now_or_never().is_some());
    }
}
