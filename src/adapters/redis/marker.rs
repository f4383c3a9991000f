//! How we notice that Redis no longer holds what we wrote.

use uuid::Uuid;

/// A counter that every write of ours moves on, told apart from those of other runs.
///
/// A value between the last confirmed count and the last one sent is ours: the outcome of what was
/// sent in between is unknown, and those changes are sent again. Any other value, or none, means
/// that Redis was flushed, or holds older data.
#[derive(Debug)]
pub(super) struct Marker {
    run: Uuid,
    confirmed: u64,
    sent: u64,
}

impl Marker {
    pub(super) fn new(run: Uuid) -> Self {
        Self {
            run,
            confirmed: 0,
            sent: 0,
        }
    }

    /// The value to write next.
    pub(super) fn next(&mut self) -> String {
        self.sent += 1;
        format!("{}:{}", self.run, self.sent)
    }

    /// The value written last is there.
    pub(super) fn confirm(&mut self) {
        self.confirmed = self.sent;
    }

    /// Whether a value that stood there before the last [`Marker::next`] is ours.
    pub(super) fn preceded_by(&self, found: Option<&str>) -> bool {
        self.is_between(found, self.sent.saturating_sub(1))
    }

    /// Whether a value that stands there now is ours.
    pub(super) fn is(&self, found: Option<&str>) -> bool {
        self.is_between(found, self.sent)
    }

    fn is_between(&self, found: Option<&str>, newest: u64) -> bool {
        let parts = found.and_then(|found| found.split_once(':'));
        parts.is_some_and(|(run, count)| {
            run == self.run.to_string()
                && count
                    .parse()
                    .is_ok_and(|count: u64| (self.confirmed..=newest).contains(&count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_run_wrote_last_or_may_have_written_is_ours() {
        let mut marker = Marker::new(Uuid::from_u128(1));
        let first = marker.next();
        marker.confirm();
        let second = marker.next();

        assert!(marker.is(Some(&first)), "the second may be lost");
        assert!(marker.is(Some(&second)), "or written");
        assert!(marker.preceded_by(Some(&first)));
        assert!(!marker.preceded_by(Some(&second)));
        assert!(!marker.is(None), "flushed");
        assert!(!marker.is(Some("nonsense")));
        assert!(!marker.is(Some(&format!("{}:2", Uuid::from_u128(2)))));
        marker.confirm();
        assert!(!marker.is(Some(&first)), "restored from older data");
    }
}
