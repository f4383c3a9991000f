//! How often one user may ask and confirm.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::error::ApiError;
use crate::domain::UserId;
use crate::settings::AskRate;

/// One allowance per user. Users who have all of theirs again are forgotten from time to time.
pub struct AskLimiter {
    users: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
}

impl AskLimiter {
    /// Nobody has used anything yet.
    pub fn new(rate: AskRate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            users: DefaultKeyedRateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one from the user's allowance.
    ///
    /// # Errors
    ///
    /// [`ApiError::TooManyRequests`] where there is none left.
    pub fn check(&self, user: &UserId) -> Result<(), ApiError> {
        self.users.check_key(user).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            ApiError::TooManyRequests {
                retry_after_s: wait.as_secs() + 1,
            }
        })
    }

    /// Forgets whoever has all of their allowance.
    pub fn forget_quiet_users(&self) {
        self.users.retain_recent();
        self.users.shrink_to_fit();
    }
}
