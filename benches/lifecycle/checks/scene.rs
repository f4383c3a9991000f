//! Two people whose lifecycle is told step by step.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::ledger::{Ask, Event, Ledger, Outcome, Step, User, Wish};

pub(super) const FIRST: User = 0;
pub(super) const SECOND: User = 1;

/// Two people, `a` and `b`, and one bucket.
pub(super) struct Scene {
    pub(super) ledger: Ledger,
    pub(super) began: Instant,
    pub(super) match_id: Uuid,
    pub(super) session_id: Uuid,
    pub(super) topic: &'static str,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::of_people_who_leave(true)
    }

    pub(super) fn of_people_who_leave(leaves: bool) -> Self {
        let names = ["a", "b"].map(str::to_owned).to_vec();
        let wish = Wish {
            difficulty: "Easy",
            topic: "Array".to_owned(),
        };
        Self {
            ledger: Ledger::new(names, vec![wish], leaves),
            began: Instant::now(),
            match_id: Uuid::new_v4(),
            session_id: Uuid::new_v4(),
            topic: "Array",
        }
    }

    /// Both asked and were told.
    pub(super) fn matched() -> Self {
        let mut scene = Self::new();
        scene.ask(0);
        scene.ask(0);
        scene.meet(5, 5);
        scene
    }

    pub(super) fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    pub(super) fn due(&mut self, ms: u64) -> Option<Step> {
        let intended = self.at(ms);
        self.ledger.due(Ask {
            intended,
            bucket: 0,
        })
    }

    /// An ask that is accepted at once.
    pub(super) fn ask(&mut self, ms: u64) {
        let Some(Step::Ask { user, .. }) = self.due(ms) else {
            panic!("nobody is free");
        };
        self.answer_ask(user, ms, Outcome::Done(Uuid::nil()));
    }

    pub(super) fn answer_ask(
        &mut self,
        user: User,
        ms: u64,
        outcome: Outcome<Uuid>,
    ) -> Option<Step> {
        let intended = self.at(ms);
        let ask = Ask {
            intended,
            bucket: 0,
        };
        self.ledger.ask_answered(user, ask, outcome, intended)
    }

    /// Both are told of each other, at these moments.
    pub(super) fn meet(&mut self, first_ms: u64, second_ms: u64) -> [Option<Step>; 2] {
        let first = self.found(FIRST, self.match_id, "b", first_ms);
        let second = self.found(SECOND, self.match_id, "a", second_ms);
        [first, second]
    }

    pub(super) fn found(
        &mut self,
        user: User,
        match_id: Uuid,
        partner: &str,
        ms: u64,
    ) -> Option<Step> {
        let event = Event::MatchFound {
            match_id,
            partner_id: partner.to_owned(),
            difficulty: "Easy".to_owned(),
            topic: self.topic.to_owned(),
        };
        self.ledger.event(user, event, self.at(ms))
    }

    pub(super) fn confirmed(&mut self, user: User) -> Option<Step> {
        let at = self.at(45);
        self.ledger
            .confirm_answered(user, self.match_id, Outcome::Done(None), at)
    }

    pub(super) fn ready(&mut self, user: User, ms: u64) -> Option<Step> {
        let event = Event::MatchReady {
            match_id: self.match_id,
            session_id: self.session_id,
            partner_id: ["b", "a"][user].to_owned(),
        };
        self.ledger.event(user, event, self.at(ms))
    }

    pub(super) fn left(&mut self, user: User, ms: u64) {
        let at = self.at(ms);
        self.ledger
            .leave_answered(user, self.session_id, Outcome::Done(()), at);
    }

    pub(super) fn confirm(&self, user: User) -> Option<Step> {
        Some(Step::Confirm {
            user,
            match_id: self.match_id,
            again: false,
        })
    }

    pub(super) fn leave(&self, user: User) -> Option<Step> {
        Some(Step::Leave {
            user,
            session_id: self.session_id,
            again: false,
        })
    }

    pub(super) fn assert_no_violations(&mut self) {
        assert_eq!(self.ledger.take_violations().shown, [""; 0]);
    }

    /// Each violation contains its part, in order.
    pub(super) fn assert_violations(&mut self, parts: &[&str]) {
        let shown = self.ledger.take_violations().shown;
        let fits = shown
            .iter()
            .zip(parts)
            .all(|(text, part)| text.contains(part));
        assert!(fits && shown.len() == parts.len(), "{shown:#?}");
    }
}
