//! For which requests tickets wait: whoever is paired is paired for one of them.

use std::collections::HashMap;

use domain::TicketId;
use observability::{Cause, Step};

/// Tickets of one turn whose requests are remembered; others are paired for nobody's.
const REMEMBERED_MAX: usize = 1_024;

/// The requests of tickets that are not paired yet: of those that have just come, because they are
/// paired in the same turn, and of those that are traced, so that two traces are linked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    just_now: Vec<(TicketId, Cause)>,
    traced: HashMap<TicketId, Cause>,
}

impl Asked {
    /// A ticket waits from now on, because of what is carried out at this moment.
    pub(super) fn waits(&mut self, ticket: TicketId) {
        let cause = Cause::current();
        if cause.is_traced() {
            self.traced.insert(ticket, cause);
        } else if cause.is_known() && self.just_now.len() < REMEMBERED_MAX {
            self.just_now.push((ticket, cause));
        }
    }

    /// Two are paired: for the younger one's request, or for the older one's, where that put it back.
    pub(super) fn paired(&mut self, older: TicketId, younger: TicketId) -> Step {
        let name = "matchmaker pair";
        match (self.take(younger), self.take(older)) {
            (Some(cause), Some(other)) => cause.step_with(&other, name),
            (Some(cause), None) | (None, Some(cause)) => cause.step(name),
            (None, None) => Cause::NONE.step(name),
        }
    }

    /// A ticket does not wait any more.
    pub(super) fn gone(&mut self, ticket: TicketId) {
        self.traced.remove(&ticket);
    }

    /// Whoever could be paired is paired.
    pub(super) fn turn_is_over(&mut self) {
        self.just_now.clear();
    }

    fn take(&mut self, ticket: TicketId) -> Option<Cause> {
        let traced = self.traced.remove(&ticket);
        let just_now = || {
            let at = self.just_now.iter().position(|(of, _)| *of == ticket)?;
            Some(self.just_now.swap_remove(at).1)
        };
        traced.or_else(just_now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::ticket;
    use observability::RequestId;

    /// For whose request two are paired, when these came with requests just now.
    fn paired_for(came: &[u64]) -> Option<u64> {
        let requests = [1, 2].map(|n| (n, RequestId::given(&n.to_string()).unwrap()));
        let mut asked = Asked::default();
        for (n, request) in requests.iter().filter(|(n, _)| came.contains(n)) {
            let _entered = Cause::of_request(request.clone(), None, None).enter();
            asked.waits(ticket(*n).id);
        }
        let step = asked.paired(ticket(1).id, ticket(2).id);
        let of = requests
            .iter()
            .find(|(_, request)| step.cause().is_for(request));
        of.map(|(n, _)| *n)
    }

    #[test]
    fn two_are_paired_for_whoever_came_last() {
        assert_eq!(paired_for(&[1, 2]), Some(2));
        assert_eq!(paired_for(&[2]), Some(2));
        assert_eq!(paired_for(&[1]), Some(1));
        assert_eq!(paired_for(&[]), None);
    }

    #[test]
    fn requests_are_remembered_for_one_turn() {
        let request = RequestId::fresh();
        let mut asked = Asked::default();
        {
            let _entered = Cause::of_request(request, None, None).enter();
            asked.waits(ticket(2).id);
        }
        asked.turn_is_over();

        let step = asked.paired(ticket(1).id, ticket(2).id);

        assert!(!step.cause().is_known());
    }
}
