//! The referee does what the stores do: random writes get the same outcomes and leave the same rows.

use std::collections::BTreeSet;

use matchmaker::domain::{TicketOutcome, WriteOutcome};
use matchmaker::ports::{StoredMatchState, StoredStatus};

use super::dice::Dice;
use crate::backends::subject::Subject;
use crate::simulation::referee::{Condition, Conditions, Database, MatchState, Status};

const LIVES: u64 = 80;
const WRITES: usize = 60;

/// Conditions that no sequence of granted writes leads up to, because others imply them; and that a
/// match is of two users, of which the stores have constraints besides.
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
    }
    let untold = Condition::ALL.into_iter();
    let untold: Vec<Condition> = untold.filter(|one| !told.contains(one)).collect();
    assert_eq!(untold, []);
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
