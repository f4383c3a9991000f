//! The statements that a connection prepares, and where each stands among them.

use super::statements::{
    CLOSE_TICKETS, CONFIRM_MATCHES, COUNT_ASKS, DISCARD_TICKETS, END_MATCHES, EXTEND_MATCHES,
    FIND_LIVE, FIND_MATCHES, FIND_TICKETS, LEAVE_SESSIONS, LOCK_MATCHES, LOCK_TICKETS,
    OPEN_SESSIONS, OPEN_TICKETS, PROPOSE_MATCHES, REPLACE_TICKETS, Statement,
};

/// All of them, those that take writes first.
pub(super) const ALL: [Statement; 16] = [
    CLOSE_TICKETS,
    END_MATCHES,
    REPLACE_TICKETS,
    OPEN_TICKETS,
    COUNT_ASKS,
    PROPOSE_MATCHES,
    EXTEND_MATCHES,
    CONFIRM_MATCHES,
    OPEN_SESSIONS,
    LEAVE_SESSIONS,
    DISCARD_TICKETS,
    LOCK_MATCHES,
    LOCK_TICKETS,
    FIND_TICKETS,
    FIND_LIVE,
    FIND_MATCHES,
];

/// Where the statement that locks matches stands in [`ALL`].
pub(super) const LOCKS_MATCHES: usize = 11;
/// Where the statement that locks tickets stands in [`ALL`].
pub(super) const LOCKS_TICKETS: usize = 12;
/// Where [`FIND_TICKETS`] stands in [`ALL`].
pub(super) const FINDS_TICKETS: usize = 13;
/// Where [`FIND_LIVE`] stands in [`ALL`].
pub(super) const FINDS_LIVE: usize = 14;
/// Where [`FIND_MATCHES`] stands in [`ALL`].
pub(super) const FINDS_MATCHES: usize = 15;

/// How many of [`ALL`], from the beginning, take writes.
const WRITES: usize = LOCKS_MATCHES;
/// Where the statement for one write of the first kind stands in [`texts`].
pub(super) const ALONE: usize = ALL.len();

/// What a connection prepares: all statements, then those that take writes once more, for one at a time.
pub(super) fn texts() -> Vec<String> {
    let all = ALL.iter().map(|statement| statement.text.to_owned());
    let alone = ALL[..WRITES].iter().map(Statement::alone);
    all.chain(alone).collect()
}

impl Statement {
    /// The same for one write: it takes values in place of arrays, which costs the server less.
    pub(super) fn alone(&self) -> String {
        let text = self.text.replace("unnest(", "(VALUES (");
        text.replace(") AS given", ")) AS given").replace("[]", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_for_one_write_takes_values() {
        for statement in &ALL[..WRITES] {
            let alone = statement.alone();

            assert!(
                !alone.contains("unnest") && !alone.contains("[]"),
                "{alone}"
            );
            assert_eq!(alone.matches("(VALUES (").count(), 1, "{alone}");
            let [opened, closed] = ['(', ')'].map(|it| alone.matches(it).count());
            assert_eq!(opened, closed, "{alone}");
        }
    }
}
