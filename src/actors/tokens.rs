//! Callers' tokens for matches that look for a question in vain: kept in memory only, and only while
//! somebody needs one.

use dashmap::DashMap;

use domain::UserId;
use ports::BearerToken;

/// Whose tokens are wanted, and those that were lent meanwhile: the newest of each.
#[derive(Debug, Default)]
pub struct LentTokens(DashMap<UserId, Option<BearerToken>>);

impl LentTokens {
    /// Lends the token of a caller who is let in, if anybody wants it.
    pub fn lend(&self, user: &UserId, token: &BearerToken) {
        if let Some(mut wanted) = self.0.get_mut(user) {
            *wanted = Some(token.clone());
        }
    }

    /// Whether nobody wants any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From now on the tokens of these are wanted.
    pub(super) fn want(&self, users: [&UserId; 2]) {
        for user in users {
            self.0.entry(user.clone()).or_default();
        }
    }

    /// A token that one of these has lent since the last time.
    pub(super) fn take(&self, users: [&UserId; 2]) -> Option<BearerToken> {
        let lent = |user| self.0.get_mut(user).and_then(|mut lent| lent.take());
        // The other one's is kept for the next try.
        users.into_iter().find_map(lent)
    }

    /// Nobody wants the tokens of these any more.
    pub(super) fn forget(&self, users: [&UserId; 2]) {
        for user in users {
            self.0.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::user;

    #[test]
    fn a_token_is_kept_only_where_it_is_wanted_and_only_the_newest() {
        let (ada, bob) = (user(1), user(2));
        let users = [&ada, &bob];
        let tokens = LentTokens::default();

        tokens.lend(&ada, &BearerToken::new("unwanted"));
        tokens.want(users);
        assert_eq!(tokens.take(users), None);

        tokens.lend(&bob, &BearerToken::new("old"));
        tokens.lend(&bob, &BearerToken::new("new"));
        tokens.want(users);
        assert_eq!(tokens.take(users), Some(BearerToken::new("new")));
        assert_eq!(tokens.take(users), None);

        tokens.forget(users);
        tokens.lend(&ada, &BearerToken::new("unwanted"));
        assert_eq!(tokens.take(users), None);
    }
}
