//! What to publish now and what to do afterwards; pure.

use std::collections::{HashMap, HashSet};

use domain::{EventId, SessionId, Timestamp};
use ports::{Announcement, Away, Published};

/// First and longest wait of one announcement, in milliseconds.
const WAIT_FIRST_MS: u64 = 500;
const WAIT_MAX_MS: u64 = 30_000;
/// Sessions whose order is kept in memory while one of their announcements is put off.
const HELD_MAX: usize = 10_000;

/// Sessions that have an announcement put off: later ones of theirs must not pass it.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_session: HashMap<SessionId, (EventId, Timestamp)>,
}

impl Held {
    pub(super) fn hold(&mut self, session: SessionId, event: EventId, until: Timestamp) {
        if self.by_session.len() >= HELD_MAX {
            let oldest = self.by_session.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(oldest) = oldest.map(|(session, _)| *session) {
                self.by_session.remove(&oldest);
            }
        }
        self.by_session.insert(session, (event, until));
    }

    /// Until when this one must wait for an earlier one.
    fn waits_until(&self, event: &Announcement, now: Timestamp) -> Option<Timestamp> {
        let (first, until) = self.by_session.get(&event.session)?;
        (*first != event.id && *until > now).then_some(*until)
    }

    /// What was due by `now` is fetched again, in order.
    fn forget_due(&mut self, now: Timestamp) {
        self.by_session.retain(|_, (_, until)| *until > now);
    }
}

/// What is published together: one announcement of each session at most.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) events: Vec<Announcement>,
    /// Those that wait for an earlier one of their session, and until when.
    pub(super) behind: Vec<(EventId, Timestamp)>,
}

impl Round {
    /// Chooses from what is due, in its order. A second one of a session is left for the next round.
    pub(super) fn new(due: Vec<Announcement>, held: &mut Held, now: Timestamp) -> Self {
        held.forget_due(now);
        let mut sessions = HashSet::new();
        let mut round = Self {
            events: Vec::new(),
            behind: Vec::new(),
        };
        for event in due {
            if let Some(until) = held.waits_until(&event, now) {
                round.behind.push((event.id, until));
            } else if sessions.insert(event.session) {
                round.events.push(event);
            }
        }
        round
    }
}

/// What follows from a round.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdicts<'a> {
    pub(super) sent: Vec<EventId>,
    /// Unroutable, and their sessions have ended: nobody needs them any more.
    pub(super) given_up: Vec<EventId>,
    pub(super) put_off: Vec<(&'a Announcement, Timestamp)>,
    pub(super) unroutable: u64,
    pub(super) failed: u64,
    /// Set where none came through: it is the broker, or what one of them does to the connection.
    pub(super) all_failed: Option<Away>,
    /// Whether none was even tried: then no announcement is to blame.
    pub(super) none_tried: bool,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(
        round: &'a Round,
        published: &[Published],
        now: Timestamp,
        jitter: f64,
    ) -> Self {
        let mut verdicts = Self {
            sent: Vec::new(),
            given_up: Vec::new(),
            put_off: Vec::new(),
            unroutable: 0,
            failed: 0,
            all_failed: None,
            none_tried: true,
        };
        let mut last_failure = None;
        for (event, published) in round.events.iter().zip(published) {
            let wait_ms = retry_wait(event.attempts, jitter);
            verdicts.none_tried &= matches!(published, Published::Unsent(_));
            match published {
                Published::Confirmed => verdicts.sent.push(event.id),
                Published::Unroutable => {
                    verdicts.unroutable += 1;
                    if event.session_ends_at <= now {
                        verdicts.given_up.push(event.id);
                    } else {
                        verdicts.put_off.push((event, now.plus_ms(wait_ms)));
                    }
                }
                Published::Failed(away) | Published::Unsent(away) => {
                    verdicts.failed += 1;
                    verdicts.put_off.push((event, now.plus_ms(wait_ms)));
                    last_failure = Some(away);
                }
            }
        }
        if verdicts.failed == round.events.len() as u64 {
            verdicts.put_off.clear();
            verdicts.all_failed = last_failure.cloned();
        }
        verdicts
    }
}

/// How long an announcement waits that was tried `attempts` times in vain before, in milliseconds.
pub(super) fn retry_wait(attempts: u32, jitter: f64) -> u64 {
    let doubled = WAIT_FIRST_MS.saturating_mul(1 << attempts.min(16));
    (doubled.min(WAIT_MAX_MS) as f64 * jitter) as u64
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use domain::testing::{at_ms, session_id};

    fn event(number: u64, session: u64) -> Announcement {
        Announcement {
            id: EventId(Uuid::from_u128(u128::from(number))),
            session: session_id(session),
            routing_key: "match.found".into(),
            body: "{}".into(),
            created_at: at_ms(0),
            session_ends_at: at_ms(100_000),
            attempts: 0,
        }
    }

    fn failed() -> Published {
        Published::Failed(Away {
            backend: "RabbitMQ",
            reason: "gone".into(),
        })
    }

    #[test]
    fn a_session_has_one_announcement_in_flight_and_in_order() {
        let due = vec![event(1, 1), event(2, 1), event(3, 2)];

        let round = Round::new(due, &mut Held::default(), at_ms(0));

        assert_eq!(round.events, [event(1, 1), event(3, 2)]);
        assert_eq!(round.behind, []);
    }

    #[test]
    fn later_announcements_do_not_pass_one_that_is_put_off() {
        let mut held = Held::default();
        held.hold(session_id(1), event(1, 1).id, at_ms(500));

        let early = Round::new(vec![event(2, 1), event(3, 2)], &mut held, at_ms(499));
        let due = Round::new(vec![event(1, 1), event(2, 1)], &mut held, at_ms(500));

        assert_eq!(early.events, [event(3, 2)]);
        assert_eq!(early.behind, [(event(2, 1).id, at_ms(500))]);
        assert_eq!(due.events, [event(1, 1)]);
    }

    #[test]
    fn what_is_unroutable_waits_while_others_pass_and_is_given_up_with_its_session() {
        let mut ended = event(3, 3);
        ended.session_ends_at = at_ms(1_000);
        let round = Round::new(
            vec![event(1, 1), event(2, 2), ended],
            &mut Held::default(),
            at_ms(1_000),
        );
        let published = [
            Published::Unroutable,
            Published::Confirmed,
            Published::Unroutable,
        ];

        let verdicts = Verdicts::new(&round, &published, at_ms(1_000), 1.0);

        assert_eq!(verdicts.sent, [event(2, 2).id]);
        assert_eq!(verdicts.put_off, [(&event(1, 1), at_ms(1_500))]);
        assert_eq!(verdicts.given_up, [event(3, 3).id]);
        assert_eq!((verdicts.unroutable, verdicts.failed), (2, 0));
    }

    #[test]
    fn a_broker_that_is_away_puts_nothing_off_and_a_single_failure_only_itself() {
        let round = Round::new(
            vec![event(1, 1), event(2, 2)],
            &mut Held::default(),
            at_ms(0),
        );

        let away = Verdicts::new(&round, &[failed(), failed()], at_ms(0), 1.0);
        let single_published = [failed(), Published::Confirmed];
        let single = Verdicts::new(&round, &single_published, at_ms(0), 1.0);

        assert!(away.all_failed.is_some());
        assert_eq!(away.put_off, []);
        assert_eq!(single.all_failed, None);
        assert_eq!(single.put_off, [(&event(1, 1), at_ms(500))]);
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let waits: Vec<u64> = (0..8).map(|attempts| retry_wait(attempts, 1.0)).collect();

        assert_eq!(
            waits,
            [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
        );
        assert_eq!(retry_wait(u32::MAX, 0.5), 15_000);
    }

    #[test]
    fn the_memory_of_held_sessions_is_bounded() {
        let mut held = Held::default();

        for number in 0..=HELD_MAX as u64 {
            held.hold(
                session_id(number),
                event(number, number).id,
                at_ms(number as i64),
            );
        }

        assert_eq!(held.by_session.len(), HELD_MAX);
        assert!(!held.by_session.contains_key(&session_id(0)));
    }
}
