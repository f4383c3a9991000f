//! The conditions of the store, each of which can be left out.

/// One condition on which a write stands, or by which a repeated write is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// `OpenTicket`: the user has no live ticket.
    OpenNoOtherLive,
    /// `OpenTicket`: a ticket with this id is stored once, whatever became of it.
    OpenKnown,
    /// `CloseTicket`: the ticket waits.
    CloseWaits,
    /// `CloseTicket`: one that has ended in this way is stored already.
    CloseKnown,
    /// `ReplaceTicket`: the old ticket waits.
    ReplaceWaits,
    /// `ReplaceTicket`: the old ticket is the same user's.
    ReplaceSameUser,
    /// `ReplaceTicket`: the user has no other live ticket.
    ReplaceNoOtherLive,
    /// `ReplaceTicket`: where the new ticket is there, it is stored already.
    ReplaceKnown,
    /// `CountAsk`: the ticket is live.
    CountLive,
    /// `DiscardTicket`: the ticket is live.
    DiscardLive,
    /// `DiscardTicket`: one that has been refused is stored already.
    DiscardKnown,
    /// `ProposeMatch`: the older ticket waits.
    ProposeFirstWaits,
    /// `ProposeMatch`: the younger ticket waits.
    ProposeSecondWaits,
    /// `ProposeMatch`: two tickets of two users.
    ProposeDistinct,
    /// `ProposeMatch`: the tickets are those users'.
    ProposeOwners,
    /// `ProposeMatch`: a match with this id is stored once, whatever became of it.
    ProposeKnown,
    /// `ProposeMatch`: no other match opens the same session.
    ProposeSessionUnique,
    /// `ConfirmMatch`: the match is open.
    ConfirmOpen,
    /// `EndMatch`: the match is open.
    EndOpen,
    /// `EndMatch`: the match is one of these tickets.
    EndTickets,
    /// `EndMatch`: the user of the ticket that opens has no other live one.
    EndNoOtherLive,
    /// `EndMatch`: those have confirmed whose confirmations its writer knows, and nobody else.
    EndConfirmed,
    /// `EndMatch`: the stored window is over, where time ends it.
    EndInTime,
    /// `EndMatch`: one that has ended in this way is stored already.
    EndKnown,
    /// `EndMatch`: one that has ended is stored already only if the same have confirmed it.
    EndKnownConfirmed,
    /// `EndMatch`: one that has ended is stored already only with the ticket that opens.
    EndKnownWithTicket,
    /// `EndMatch`: one that has ended is stored already only if the same are put back.
    EndKnownSameFates,
    /// `OpenSession`: the match is open.
    SessionOpen,
    /// `OpenSession`: both have confirmed, counting the one that confirms with it.
    SessionBothConfirmed,
    /// `OpenSession`: the match is the one of this session, these tickets and these users.
    SessionOfMatch,
    /// `OpenSession`: there is no session with this id or for this match.
    SessionUnique,
    /// `OpenSession`: where the match is in session, it is stored already.
    SessionKnown,
    /// `LeaveSession`: the session is known.
    LeaveKnown,
    /// `ExtendMatch`: the match is open.
    ExtendOpen,
    /// `ExtendMatch`: only once.
    ExtendOnce,
    /// What marks an announcement as sent: it is not marked yet.
    MarkUnsent,
    /// What removes an announcement: it was sent, long ago.
    RemoveSent,
}

impl Condition {
    /// Every one.
    pub const ALL: [Self; 37] = [
        Self::OpenNoOtherLive,
        Self::OpenKnown,
        Self::CloseWaits,
        Self::CloseKnown,
        Self::ReplaceWaits,
        Self::ReplaceSameUser,
        Self::ReplaceNoOtherLive,
        Self::ReplaceKnown,
        Self::CountLive,
        Self::DiscardLive,
        Self::DiscardKnown,
        Self::ProposeFirstWaits,
        Self::ProposeSecondWaits,
        Self::ProposeDistinct,
        Self::ProposeOwners,
        Self::ProposeKnown,
        Self::ProposeSessionUnique,
        Self::ConfirmOpen,
        Self::EndOpen,
        Self::EndTickets,
        Self::EndNoOtherLive,
        Self::EndConfirmed,
        Self::EndInTime,
        Self::EndKnown,
        Self::EndKnownConfirmed,
        Self::EndKnownWithTicket,
        Self::EndKnownSameFates,
        Self::SessionOpen,
        Self::SessionBothConfirmed,
        Self::SessionOfMatch,
        Self::SessionUnique,
        Self::SessionKnown,
        Self::LeaveKnown,
        Self::ExtendOpen,
        Self::ExtendOnce,
        Self::MarkUnsent,
        Self::RemoveSent,
    ];
}

/// The conditions that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conditions {
    left_out: u64,
}

impl Conditions {
    /// All of them, which is what the stores check.
    pub const OF_THE_STORES: Self = Self { left_out: 0 };

    /// What the stores check of a write that is not stored yet; a repeated one is like another.
    pub const OF_FIRST_TRIES: Self = Self::OF_THE_STORES.without_all(&[
        Condition::OpenKnown,
        Condition::CloseKnown,
        Condition::ReplaceKnown,
        Condition::DiscardKnown,
        Condition::ProposeKnown,
        Condition::EndKnown,
        Condition::SessionKnown,
    ]);

    pub const fn without(self, condition: Condition) -> Self {
        let left_out = self.left_out | 1 << condition as u64;
        Self { left_out }
    }

    pub const fn include(self, condition: Condition) -> bool {
        self.left_out & 1 << condition as u64 == 0
    }

    const fn without_all(self, conditions: &[Condition]) -> Self {
        match conditions {
            [] => self,
            [first, others @ ..] => self.without(*first).without_all(others),
        }
    }
}
