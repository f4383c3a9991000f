//! The ends of a match without a session.

use matchmaker::domain::{
    Avoided, Ending, Fate, Refusal, Side, Ticket, TicketOutcome, Write, WriteOutcome,
};
use matchmaker::ports::{StoredMatchState, StoredStatus};

use crate::backends::subject::{
    at_ms, confirm, match_id, ticket, ticket_id, up_to_confirmed, up_to_match, up_to_session, user,
};

const NOT_OPEN: WriteOutcome = WriteOutcome::Refused(Refusal::NotOpen);

/// Who has confirmed.
pub(super) const NOBODY: [bool; 2] = [false, false];
const THE_SECOND: [bool; 2] = [false, true];
const BOTH: [bool; 2] = [true, true];

/// The end of match 1 of tickets 1 and 2, as a server writes it that knows these confirmations.
pub(super) fn end(ending: Ending, confirmed: [bool; 2], fates: [Fate; 2]) -> Write {
    Write::EndMatch {
        match_id: match_id(1),
        ending,
        tickets: [1, 2].map(ticket_id),
        confirmed,
        fates: Box::new(fates),
        opens: None,
        at: at_ms(9_000),
    }
}

/// The refusal that tells what is stored of a match that is open.
fn open_otherwise(confirmed: [bool; 2], expires_at: i64) -> WriteOutcome {
    WriteOutcome::Refused(Refusal::OpenOtherwise {
        confirmed,
        expires_at: at_ms(expires_at),
    })
}

/// The first one declines for `new`, which nobody has confirmed.
fn declined_for(new: &Ticket) -> Write {
    let fates = [
        Fate::Closed(TicketOutcome::Replaced),
        Fate::PutBack(put_back(2)),
    ];
    let mut write = end(Ending::Declined(Side::First), NOBODY, fates);
    if let Write::EndMatch { opens, .. } = &mut write {
        *opens = Some(Box::new(new.clone()));
    }
    write
}

fn declined_by_first() -> Write {
    let fates = [
        Fate::Closed(TicketOutcome::Declined),
        Fate::PutBack(put_back(2)),
    ];
    end(Ending::Declined(Side::First), NOBODY, fates)
}

/// What user 1 asks for elsewhere, as ticket 11.
fn elsewhere() -> Ticket {
    let mut new = ticket(11);
    new.user = user(1);
    new
}

/// Ticket `number` as it waits again.
fn put_back(number: u64) -> Ticket {
    let mut back = ticket(number);
    back.waits_until = at_ms(69_000);
    back.put_back = true;
    back.silences = 1;
    back.asks = 2;
    back.avoided = vec![Avoided::Decliner(user(9))];
    back
}

pub(super) fn both_back() -> [Fate; 2] {
    [1, 2].map(|number| Fate::PutBack(put_back(number)))
}

fn both_closed() -> [Fate; 2] {
    [TicketOutcome::Expired; 2].map(Fate::Closed)
}

#[tokio::test]
async fn an_ended_match_gives_each_ticket_its_fate() {
    for (ending, sides) in [
        (Ending::Declined(Side::First), [false, true]),
        (Ending::Declined(Side::Second), [true, false]),
        (Ending::Expired, [true, true]),
        (Ending::QuestionUnavailable, [true, true]),
    ] {
        let store = fresh!();
        store.stores(up_to_confirmed(1, [1, 2])).await;
        let fate = |number: u64| match sides[number as usize - 1] {
            true => Fate::PutBack(put_back(number)),
            false => Fate::Closed(TicketOutcome::Declined),
        };

        store.stores([end(ending, BOTH, [1, 2].map(fate))]).await;

        assert_eq!(
            store.match_state(1).await,
            Some(StoredMatchState::Ended(ending))
        );
        let live = store.live().await;
        let back = [1, 2]
            .into_iter()
            .filter(|number| sides[*number as usize - 1]);
        assert_eq!(live.tickets, back.map(put_back).collect::<Vec<_>>());
        assert_eq!(live.matches, []);
        for number in [1, 2]
            .into_iter()
            .filter(|number| !sides[*number as usize - 1])
        {
            let declined = StoredStatus::Closed(TicketOutcome::Declined);
            assert_eq!(store.status(ticket_id(number)).await, Some(declined));
        }
    }
}

#[tokio::test]
async fn a_ticket_that_was_discarded_stays_so_when_its_match_ends() {
    for fates in [both_back(), both_closed()] {
        let store = fresh!();
        store.stores(up_to_match(1, [1, 2])).await;
        let (ticket, at) = (ticket_id(1), at_ms(4_000));
        store.stores([Write::DiscardTicket { ticket, at }]).await;
        // Who had it asks anew before that match ends.
        store.stores([Write::OpenTicket(elsewhere())]).await;

        store.stores([end(Ending::Expired, NOBODY, fates)]).await;

        let refused = StoredStatus::Closed(TicketOutcome::Refused);
        assert_eq!(store.status(ticket).await, Some(refused));
        let anew = store.status(elsewhere().id).await;
        assert_eq!(anew, Some(StoredStatus::Waiting));
    }
}

#[tokio::test]
async fn a_match_ends_once() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    let mut of_other_tickets = end(Ending::Expired, NOBODY, both_back());
    if let Write::EndMatch { tickets, .. } = &mut of_other_tickets {
        tickets.reverse();
    }

    let others = store.write(of_other_tickets).await;
    let expired = end(Ending::Expired, NOBODY, both_back());
    store.stores([expired.clone(), expired]).await;
    let declined = end(Ending::Declined(Side::First), NOBODY, both_back());
    let otherwise = store.write(declined).await;

    assert_eq!([others, otherwise], [NOT_OPEN, NOT_OPEN]);
    let expired = StoredMatchState::Ended(Ending::Expired);
    assert_eq!(store.match_state(1).await, Some(expired));
}

#[tokio::test]
async fn a_match_that_became_a_session_or_is_unknown_does_not_end() {
    let store = fresh!();
    let expired = end(Ending::Expired, NOBODY, both_back());

    let unknown = store.write(expired.clone()).await;
    store.stores(up_to_session(1, [1, 2])).await;
    let in_session = store.write(expired).await;

    assert_eq!([unknown, in_session], [NOT_OPEN, NOT_OPEN]);
    assert_eq!(store.live().await.tickets, []);
}

#[tokio::test]
async fn declining_for_another_bucket_opens_the_new_ticket_in_the_same_breath() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    let new = elsewhere();
    let write = declined_for(&new);

    store.stores([write.clone(), write]).await;

    assert_eq!(store.live().await.tickets, [put_back(2), new]);
    let replaced = StoredStatus::Closed(TicketOutcome::Replaced);
    assert_eq!(store.status(ticket_id(1)).await, Some(replaced));
}

#[tokio::test]
async fn where_the_new_ticket_is_refused_the_match_goes_on() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([Write::OpenTicket(ticket(3))]).await;
    let mut rival = ticket(11);
    rival.user = user(3);

    let together = [
        Write::OpenTicket(ticket(4)),
        declined_for(&rival),
        Write::OpenTicket(ticket(5)),
    ];
    let outcomes = store.write_together(together).await;

    let refused = WriteOutcome::Refused(Refusal::AlreadyLive {
        ticket: ticket_id(3),
        matched: false,
    });
    let expected = [WriteOutcome::Stored, refused, WriteOutcome::Stored];
    assert_eq!(outcomes, expected);
    let live = store.live().await;
    assert_eq!(live.matches[0].tickets, [ticket(1), ticket(2)]);
    assert_eq!(live.tickets, [ticket(3), ticket(4), ticket(5)]);
}

#[tokio::test]
async fn a_match_ends_only_as_those_confirmed_it_whom_the_writer_knows() {
    let store = fresh!();
    store.stores(up_to_confirmed(1, [1, 2])).await;
    let ends = [NOBODY, [true, false], THE_SECOND].map(|known| {
        let declined = Ending::Declined(Side::First);
        [Ending::Expired, declined].map(|ending| end(ending, known, both_back()))
    });

    for write in ends.concat() {
        assert_eq!(store.write(write).await, open_otherwise(BOTH, 8_000));
    }
    assert_eq!(store.live().await.matches[0].confirmed, BOTH);

    let given_up = end(Ending::QuestionUnavailable, BOTH, both_back());
    store.stores([given_up.clone(), given_up]).await;
    assert_eq!(store.live().await.matches, []);
}

#[tokio::test]
async fn a_match_runs_out_only_when_its_stored_window_is_over() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    let extended = Write::ExtendMatch {
        match_id: match_id(1),
        expires_at: at_ms(9_001),
    };
    store.stores([extended]).await;

    let expired = end(Ending::Expired, NOBODY, both_back());
    let early = store.write(expired).await;
    assert_eq!(early, open_otherwise(NOBODY, 9_001));

    // Whoever declines does not wait for it.
    store.stores([declined_by_first()]).await;
    assert_eq!(store.live().await.matches, []);
}

#[tokio::test]
async fn an_end_that_opens_a_ticket_is_not_stored_by_one_that_opened_none() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([declined_by_first()]).await;

    let opening = store.write(declined_for(&elsewhere())).await;

    assert_eq!(opening, NOT_OPEN);
    assert_eq!(store.status(ticket_id(11)).await, None);
    assert_eq!(store.live().await.tickets, [put_back(2)]);
}

#[tokio::test]
async fn an_end_is_stored_already_only_if_the_same_have_confirmed_and_are_put_back() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([confirm(1, Side::Second)]).await;
    let [_, faithful] = both_back();
    let [silent, _] = both_closed();
    let stored = end(Ending::Expired, THE_SECOND, [silent.clone(), faithful]);
    store.stores([stored.clone()]).await;

    let unaware = end(Ending::Expired, NOBODY, both_closed());
    let of_others = end(
        Ending::Expired,
        [true, false],
        [silent.clone(), both_back()[1].clone()],
    );
    let otherwise = end(Ending::Expired, THE_SECOND, both_back());
    let nobody_back = end(Ending::Expired, THE_SECOND, both_closed());
    for write in [unaware, of_others, otherwise, nobody_back] {
        assert_eq!(store.write(write).await, NOT_OPEN);
    }

    // Whoever was put back has gone since then, and the same end is still the same.
    let expired = Write::CloseTicket {
        ticket: ticket_id(2),
        outcome: TicketOutcome::Expired,
        at: at_ms(69_000),
    };
    store.stores([expired, stored]).await;
}
