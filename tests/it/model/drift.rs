//! The referee does what the stores do: random writes get the same outcomes and leave the same rows.

use std::collections::BTreeSet;

use matchmaker::domain::{EventId, TicketOutcome, Timestamp, WriteOutcome};
use matchmaker::ports::{Outbox, StoredMatchState, StoredStatus};

use super::dice::Dice;
use crate::backends::subject::Subject;
use crate::simulation::referee::{Condition, Conditions, Database, MatchState, Status};

const LIVES: u64 = 80;
const WRITES: usize = 60;

/// Conditions that no sequence of granted writes leads up to, because others imply them; and that a
/// match is of two users, which the stores judge before they ask the database.
const OUT_OF_REACH: [Condition; 4] = [
    Condition::ReplaceNoOtherLive,
    Condition::ProposeDistinct,
    Condition::EndNoOtherLive,
    Condition::SessionUnique,
];

#[test]
fn the_random_writes_would_tell_if_a_store_had_one_condition_less() {
    let mut told = BTreeSet::from(OUT_OF_REACH);
    for life in 0..LIVES {
        let mut dice = Dice::of(life);
        let mut db = Database::default();
        for _ in 0..WRITES {
            let before = db.clone();
            let (write, expected) = dice.next(&mut db);
            told.extend(Condition::ALL.into_iter().filter(|condition| {
                let conditions = Conditions::OF_THE_STORES.without(*condition);
                before.clone().apply_on(conditions, &write) != expected
            }));
        }
        let expected = sent_and_removed(&mut db.clone(), Conditions::OF_THE_STORES);
        told.extend(Condition::ALL.into_iter().filter(|condition| {
            let conditions = Conditions::OF_THE_STORES.without(*condition);
            sent_and_removed(&mut db.clone(), conditions) != expected
        }));
    }
    let untold = Condition::ALL.into_iter();
    let untold: Vec<Condition> = untold.filter(|one| !told.contains(one)).collect();
    assert_eq!(untold, []);
}

/// When announcements are marked as sent, and those before which time they are removed.
const EARLY: Timestamp = Timestamp::from_ms(1_000_000);
const LATE: Timestamp = Timestamp::from_ms(2_000_000);

/// Which announcements are marked early, and which late: one of three twice, one of three never.
fn marked(db: &Database) -> [(Vec<EventId>, Timestamp); 2] {
    let every_third = |which: &[usize]| {
        let events = db.outbox.keys().enumerate();
        let events = events.filter(|(number, _)| which.contains(&(number % 3)));
        events.map(|(_, event)| *event).collect()
    };
    [(every_third(&[0]), EARLY), (every_third(&[0, 1]), LATE)]
}

/// Marks and removes; answers how many were removed, and what is unsent.
fn sent_and_removed(db: &mut Database, on: Conditions) -> (usize, BTreeSet<EventId>) {
    for (events, at) in marked(db) {
        events.iter().for_each(|event| db.mark_sent(on, *event, at));
    }
    let events: Vec<EventId> = db.outbox.keys().copied().collect();
    let removed = events
        .iter()
        .filter(|event| db.remove_sent(on, **event, LATE));
    (removed.count(), db.unsent().collect())
}

/// The same in the store, whose other lives have nothing left that was sent early.
async fn compare_outbox(store: &Subject, db: &mut Database, life: u64) {
    let outbox = store.outbox();
    let events: BTreeSet<EventId> = db.outbox.keys().copied().collect();
    let unsent = async || -> BTreeSet<EventId> {
        let due = outbox
            .due(LATE, usize::MAX)
            .await
            .expect("the store answers");
        let ids = due.into_iter().map(|announcement| announcement.id);
        ids.filter(|id| events.contains(id)).collect()
    };
    assert_eq!(unsent().await, db.unsent().collect(), "life {life}");
    for (events, at) in marked(db) {
        let marked = outbox.mark_sent(&events, at).await;
        marked.expect("the store answers");
    }
    let removed = outbox.remove_sent(LATE, usize::MAX).await;
    let stored = (removed.expect("the store answers"), unsent().await);
    let expected = sent_and_removed(db, Conditions::OF_THE_STORES);
    assert_eq!(stored, expected, "life {life}");
}

async fn compare(store: &Subject) {
    let (mut granted, mut refused) = (0, 0);
    for life in 0..LIVES {
        let mut dice = Dice::of(life);
        let mut db = Database::default();
        let mut story = Vec::new();
        for _ in 0..WRITES {
            let (write, expected) = dice.next(&mut db);
            let outcome = store.write(write.clone()).await;
            story.push(format!("{write:?}"));
            assert_eq!(outcome, expected, "life {life}\n{}", story.join("\n"));
            assert_eq!(db.broken, None, "life {life}\n{}", story.join("\n"));
            match outcome == WriteOutcome::Stored {
                true => granted += 1,
                false => refused += 1,
            }
        }
        compare_rows(store, &db, life).await;
        compare_outbox(store, &mut db, life).await;
    }
    assert!(granted > 400 && refused > 400, "{granted} {refused}");
}

async fn compare_rows(store: &Subject, db: &Database, life: u64) {
    for (id, row) in &db.tickets {
        let stored = store.status(*id).await;
        let fits = match (row.status, stored) {
            (Status::Waiting, Some(StoredStatus::Waiting)) => true,
            (Status::Matched(its), Some(StoredStatus::Matched(other))) => its == other,
            (Status::Closed(TicketOutcome::InSession), Some(StoredStatus::Matched(_))) => true,
            (Status::Closed(end), Some(StoredStatus::Closed(other))) => end == other,
            _ => false,
        };
        assert!(fits, "life {life}: {row:?}, but stored is {stored:?}");
    }
    for (id, row) in &db.matches {
        let stored = store.records().find_match(*id).await;
        let stored = stored
            .expect("the store answers")
            .map(|stored| stored.state);
        let fits = match (row.state, &stored) {
            (MatchState::Open, Some(StoredMatchState::Open)) => true,
            (MatchState::Ended(end), Some(StoredMatchState::Ended(other))) => end == *other,
            (MatchState::InSession, Some(StoredMatchState::InSession(record))) => {
                db.sessions[&record.id].record == **record
            }
            _ => false,
        };
        assert!(fits, "life {life}: {row:?}, but stored is {stored:?}");
    }
    let live = store.live().await;
    let waiting = db.live().filter(|row| row.status == Status::Waiting);
    for row in waiting {
        let stored = live
            .tickets
            .iter()
            .find(|ticket| ticket.id == row.ticket.id);
        assert_eq!(stored, Some(&row.ticket), "life {life}");
    }
    for row in db.matches.values() {
        let open = live.matches.iter().find(|open| open.id == row.proposal.id);
        let stored = open.map(|open| (open.confirmed, open.expires_at, open.extended));
        let expected = (row.state == MatchState::Open).then_some((
            row.confirmed,
            row.proposal.expires_at,
            row.extended,
        ));
        assert_eq!(stored, expected, "life {life}: {row:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_decides_every_write_as_the_referee_does() {
    compare(&Subject::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_decides_every_write_as_the_referee_does() {
    compare(&Subject::on_postgres().await).await;
}
