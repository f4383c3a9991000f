//! How often one user may ask and confirm.

use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock, DefaultClock, Reference};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::error::ApiError;
use domain::UserId;
use observability::Limit;
use settings::AskRate;

/// Time between two searches of a full table for users who have been quiet, in nanoseconds: one looks
/// at all of it.
const SEARCH_EVERY_NS: u64 = 500_000_000;

/// One allowance per user, for a bounded number of users. Users who have all of theirs again are
/// forgotten from time to time.
pub struct AskLimiter {
    users: DefaultKeyedRateLimiter<UserId>,
    users_max: usize,
    clock: DefaultClock,
    began: <DefaultClock as Clock>::Instant,
    /// When a full table was searched last, in nanoseconds after `began`; 0 for never.
    searched_ns: AtomicU64,
}

impl AskLimiter {
    /// Nobody has used anything yet.
    pub fn new(rate: AskRate, users_max: usize) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        let clock = DefaultClock::default();
        Self {
            users: DefaultKeyedRateLimiter::keyed(quota),
            users_max,
            began: clock.now(),
            clock,
            searched_ns: AtomicU64::new(0),
        }
    }

    /// Takes one from the user's allowance.
    ///
    /// # Errors
    ///
    /// [`ApiError::TooManyRequests`] where there is none left, [`ApiError::Busy`] where the table is
    /// full of users who have used some of theirs just now.
    pub fn check(&self, user: &UserId) -> Result<(), ApiError> {
        if self.len() >= self.users_max && !self.finds_room() {
            Limit::RatedUsers.reached();
            return Err(ApiError::Busy);
        }
        self.users.check_key(user).map_err(|not_until| {
            Limit::AskRate.reached();
            let wait = not_until.wait_time_from(self.clock.now());
            ApiError::TooManyRequests {
                retry_after_s: wait.as_secs() + 1,
            }
        })
    }

    /// How many users are remembered.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Forgets whoever has all of their allowance.
    pub fn forget_quiet_users(&self) {
        self.users.retain_recent();
        self.users.shrink_to_fit();
    }

    /// Whether a full table has room again once those who have been quiet are forgotten.
    fn finds_room(&self) -> bool {
        let now = self.clock.now().duration_since(self.began).as_u64();
        let searched = self.searched_ns.load(Ordering::Relaxed);
        let is_due = searched == 0 || now >= searched.saturating_add(SEARCH_EVERY_NS);
        let take_turn = || {
            self.searched_ns
                .compare_exchange(searched, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        if is_due && take_turn() {
            self.users.retain_recent();
        }
        self.len() < self.users_max
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use domain::limits::RATED_USERS_MAX;

    fn user(number: usize) -> UserId {
        UserId::parse(&format!("user-{number}")).unwrap()
    }

    fn limiter(per_second: u32, users_max: usize) -> AskLimiter {
        let rate = AskRate {
            burst: NonZeroU32::new(60).unwrap(),
            per_second: NonZeroU32::new(per_second).unwrap(),
        };
        AskLimiter::new(rate, users_max)
    }

    #[test]
    fn a_hundred_thousand_users_who_ask_once_leave_no_more_behind_than_the_table_holds() {
        let asks = limiter(1, 1_000);

        let refused = (0..100_000)
            .filter(|number| matches!(asks.check(&user(*number)), Err(ApiError::Busy)))
            .count();

        assert!(asks.len() <= 1_000, "{}", asks.len());
        assert!(refused >= 50_000, "{refused} heard that there is no room");
    }

    #[test]
    fn users_who_have_all_of_their_allowance_again_make_room() {
        // A thousandth of a second for one ask.
        let asks = limiter(1_000, 1_000);

        for number in 0..1_000 {
            asks.check(&user(number)).unwrap();
        }

        while asks.check(&user(1_000)).is_err() {
            std::thread::yield_now();
        }
        assert!(asks.len() <= 1_000, "{}", asks.len());
    }

    #[test]
    fn the_real_table_holds_a_hundred_thousand_users() {
        let asks = limiter(20, RATED_USERS_MAX);

        for number in 0..RATED_USERS_MAX {
            assert!(asks.check(&user(number)).is_ok(), "user {number}");
        }
        asks.forget_quiet_users();

        assert!(asks.len() <= RATED_USERS_MAX);
    }
}
