//! The statements that write, one for each kind of write, each for any number of writes at once.
//!
//! Each answers the ids of the writes that it granted. Arrays are sorted by whoever binds them.
//!
//! Conditions on a state are written with the columns that every statement sets together with it: a ticket
//! waits where it has neither an end nor a match, a match is open where it has no end. Written with
//! the state, they would let the planner read all of a partial index of what is live, and on tables
//! without statistics it does.

/// A statement, with the types of its parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) text: &'static str,
    pub(super) parameters: &'static [Parameter],
}

/// The type of an array.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parameter {
    Ids,
    Texts,
    Numbers,
    Flags,
}

use Parameter::{Flags, Ids, Numbers, Texts};

/// Locks the named matches, then the named tickets, each in the order of their ids: where a group
/// has several writes it does this first, and no two groups can wait for each other.
pub(super) const LOCK_MATCHES: Statement = Statement {
    text: "
SELECT matches.id FROM unnest($1::uuid[]) AS given (id)
JOIN matches ON matches.id = given.id FOR NO KEY UPDATE OF matches",
    parameters: &[Ids],
};
pub(super) const LOCK_TICKETS: Statement = Statement {
    text: "
SELECT tickets.id FROM unnest($1::uuid[]) AS given (id)
JOIN tickets ON tickets.id = given.id FOR NO KEY UPDATE OF tickets",
    parameters: &[Ids],
};

/// Refused where the id or the user's live claim is taken.
pub(super) const OPEN_TICKETS: Statement = Statement {
    text: "
INSERT INTO tickets (
    id, user_id, difficulty, topic, topic_key, status, enqueued_at_ms, waits_until_ms, put_back,
    silences, asks, avoided
)
SELECT
    id, user_id, difficulty, topic, topic_key, 'waiting', enqueued_at_ms, waits_until_ms, put_back,
    silences, asks, avoided
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::boolean[], $9::bigint[], $10::bigint[], $11::text[]
) AS given (
    id, user_id, difficulty, topic, topic_key, enqueued_at_ms, waits_until_ms, put_back, silences,
    asks, avoided
)
ON CONFLICT DO NOTHING
RETURNING id",
    parameters: &[
        Ids, Texts, Texts, Texts, Texts, Numbers, Numbers, Flags, Numbers, Numbers, Texts,
    ],
};

/// Refused where the ticket does not wait.
pub(super) const CLOSE_TICKETS: Statement = Statement {
    text: "
UPDATE tickets SET status = given.status, ended_at_ms = given.at_ms
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS given (id, status, at_ms)
WHERE tickets.id = given.id AND tickets.ended_at_ms IS NULL AND tickets.match_id IS NULL
RETURNING tickets.id",
    parameters: &[Ids, Texts, Numbers],
};

/// Refused where the old ticket does not wait, is another user's, or the new one is there already.
/// Each row is inserted after the old one has ended, because it comes from what that returns.
pub(super) const REPLACE_TICKETS: Statement = Statement {
    text: "
WITH given AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
        $8::boolean[], $9::bigint[], $10::bigint[], $11::text[], $12::uuid[]
    ) AS given (
        id, user_id, difficulty, topic, topic_key, enqueued_at_ms, waits_until_ms, put_back,
        silences, asks, avoided, old
    )
), replaced AS (
    UPDATE tickets SET status = 'replaced', ended_at_ms = given.enqueued_at_ms
    FROM given
    WHERE tickets.id = given.old AND tickets.user_id = given.user_id
        AND tickets.ended_at_ms IS NULL AND tickets.match_id IS NULL
        AND NOT EXISTS (SELECT FROM tickets AS stored WHERE stored.id = given.id)
    RETURNING given.*
)
INSERT INTO tickets (
    id, user_id, difficulty, topic, topic_key, status, enqueued_at_ms, waits_until_ms, put_back,
    silences, asks, avoided
)
SELECT
    id, user_id, difficulty, topic, topic_key, 'waiting', enqueued_at_ms, waits_until_ms, put_back,
    silences, asks, avoided
FROM replaced
RETURNING id",
    parameters: &[
        Ids, Texts, Texts, Texts, Texts, Numbers, Numbers, Flags, Numbers, Numbers, Texts, Ids,
    ],
};

/// Refused where the ticket is not live.
pub(super) const COUNT_ASKS: Statement = Statement {
    text: "
UPDATE tickets SET asks = given.asks
FROM unnest($1::uuid[], $2::bigint[]) AS given (id, asks)
WHERE tickets.id = given.id AND tickets.ended_at_ms IS NULL
RETURNING tickets.id",
    parameters: &[Ids, Numbers],
};

/// Refused where either ticket does not wait or is another user's, where both are one ticket or one
/// user's, or where the match is there already.
/// Both rows are locked before either is judged.
pub(super) const PROPOSE_MATCHES: Statement = Statement {
    text: "
WITH granted AS MATERIALIZED (
    SELECT given.*
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::bigint[], $10::bigint[]
    ) AS given (
        id, session_id, first_ticket, second_ticket, first_user, second_user, difficulty,
        topic_key, proposed_at_ms, expires_at_ms
    )
    JOIN tickets AS first ON first.id = given.first_ticket
    JOIN tickets AS second ON second.id = given.second_ticket
    WHERE first.ended_at_ms IS NULL AND first.match_id IS NULL
        AND second.ended_at_ms IS NULL AND second.match_id IS NULL
        AND first.user_id = given.first_user AND second.user_id = given.second_user
        AND given.first_ticket <> given.second_ticket AND given.first_user <> given.second_user
    FOR NO KEY UPDATE OF first, second
), proposed AS (
    INSERT INTO matches (
        id, session_id, first_ticket, second_ticket, first_user, second_user, difficulty,
        topic_key, state, confirmed_first, confirmed_second, proposed_at_ms, expires_at_ms, extended
    )
    SELECT
        id, session_id, first_ticket, second_ticket, first_user, second_user, difficulty,
        topic_key, 'open', false, false, proposed_at_ms, expires_at_ms, false
    FROM granted
    ON CONFLICT DO NOTHING
    RETURNING id, first_ticket, second_ticket
), matched AS (
    UPDATE tickets SET status = 'matched', match_id = proposed.id
    FROM proposed
    WHERE tickets.id = ANY (ARRAY[proposed.first_ticket, proposed.second_ticket])
)
SELECT id FROM proposed",
    parameters: &[
        Ids, Ids, Ids, Ids, Texts, Texts, Texts, Texts, Numbers, Numbers,
    ],
};

/// Refused where the match is not open.
pub(super) const CONFIRM_MATCHES: Statement = Statement {
    text: "
UPDATE matches SET
    confirmed_first = matches.confirmed_first OR given.first,
    confirmed_second = matches.confirmed_second OR given.second
FROM unnest($1::uuid[], $2::boolean[], $3::boolean[]) AS given (id, first, second)
WHERE matches.id = given.id AND matches.ended_at_ms IS NULL
RETURNING matches.id",
    parameters: &[Ids, Flags, Flags],
};

/// Refused where the match is not open, is one of other tickets, has other confirmations than those
/// that are given, or would run out before its window is over; or where the user of the ticket that
/// opens has another live one. All rows of the match have changed before that ticket is inserted,
/// because counting reads them all first. A ticket that was discarded meanwhile stays so.
pub(super) const END_MATCHES: Statement = Statement {
    text: "
WITH given AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::uuid[], $6::boolean[], $7::boolean[],
        $8::text[], $9::bigint[], $10::boolean[], $11::bigint[], $12::bigint[], $13::text[],
        $14::text[], $15::bigint[], $16::boolean[], $17::bigint[], $18::bigint[], $19::text[],
        $20::uuid[], $21::text[], $22::text[], $23::text[], $24::text[], $25::bigint[],
        $26::bigint[], $27::boolean[], $28::bigint[], $29::bigint[], $30::text[]
    ) AS given (
        id, state, at_ms, first_ticket, second_ticket, first_confirmed, second_confirmed,
        first_status, first_until, first_back, first_silences, first_asks, first_avoided,
        second_status, second_until, second_back, second_silences, second_asks, second_avoided,
        new_id, new_user, new_difficulty, new_topic, new_topic_key, new_enqueued, new_until,
        new_back, new_silences, new_asks, new_avoided
    )
), ended AS (
    UPDATE matches SET state = given.state, ended_at_ms = given.at_ms
    FROM given
    WHERE matches.id = given.id AND matches.ended_at_ms IS NULL
        AND matches.first_ticket = given.first_ticket
        AND matches.second_ticket = given.second_ticket
        AND matches.confirmed_first = given.first_confirmed
        AND matches.confirmed_second = given.second_confirmed
        AND (given.state <> 'expired' OR matches.expires_at_ms <= given.at_ms)
        AND NOT EXISTS (
            SELECT FROM tickets AS live
            WHERE live.user_id = given.new_user AND live.status IN ('waiting', 'matched')
                AND NOT (live.id = given.first_ticket AND given.first_status <> 'waiting')
                AND NOT (live.id = given.second_ticket AND given.second_status <> 'waiting')
        )
    RETURNING given.*
), released AS (
    UPDATE tickets SET
        match_id = NULL,
        status = fate.status,
        waits_until_ms = coalesce(fate.until, tickets.waits_until_ms),
        put_back = coalesce(fate.back, tickets.put_back),
        silences = coalesce(fate.silences, tickets.silences),
        asks = coalesce(fate.asks, tickets.asks),
        avoided = coalesce(fate.avoided, tickets.avoided),
        ended_at_ms = CASE WHEN fate.status <> 'waiting' THEN ended.at_ms END
    FROM ended CROSS JOIN LATERAL (
        VALUES
            (ended.id, ended.first_ticket, ended.first_status, ended.first_until,
            ended.first_back, ended.first_silences, ended.first_asks, ended.first_avoided),
            (ended.id, ended.second_ticket, ended.second_status, ended.second_until,
            ended.second_back, ended.second_silences, ended.second_asks, ended.second_avoided)
    ) AS fate (match_id, ticket, status, until, back, silences, asks, avoided)
    WHERE tickets.id = fate.ticket AND tickets.match_id = fate.match_id
    RETURNING tickets.id
), opened AS (
    INSERT INTO tickets (
        id, user_id, difficulty, topic, topic_key, status, enqueued_at_ms, waits_until_ms,
        put_back, silences, asks, avoided
    )
    SELECT
        new_id, new_user, new_difficulty, new_topic, new_topic_key, 'waiting', new_enqueued,
        new_until, new_back, new_silences, new_asks, new_avoided
    FROM ended
    WHERE new_id IS NOT NULL AND (SELECT count(*) FROM released) >= 0
)
SELECT id FROM ended",
    parameters: &[
        Ids, Texts, Numbers, Ids, Ids, Flags, Flags, Texts, Numbers, Flags, Numbers, Numbers,
        Texts, Texts, Numbers, Flags, Numbers, Numbers, Texts, Ids, Texts, Texts, Texts, Texts,
        Numbers, Numbers, Flags, Numbers, Numbers, Texts,
    ],
};

/// Refused where the match is not open or is another one, where not both sides have confirmed, counting
/// the one that confirms with it, or where there is a row of that session or of another one of the match.
/// A ticket that was discarded meanwhile stays so.
pub(super) const OPEN_SESSIONS: Statement = Statement {
    text: "
WITH given AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[],
        $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::uuid[],
        $14::text[], $15::text[], $16::boolean[], $17::boolean[]
    ) AS given (
        match_id, id, first_ticket, second_ticket, first_user, second_user, question_id,
        question_title, question_difficulty, question_topics, opened_at_ms, ends_at_ms, event_id,
        routing_key, body, confirms_first, confirms_second
    )
), granted AS (
    UPDATE matches SET
        state = 'in_session', ended_at_ms = given.opened_at_ms,
        confirmed_first = true, confirmed_second = true
    FROM given
    WHERE matches.id = given.match_id AND matches.ended_at_ms IS NULL
        AND (matches.confirmed_first OR given.confirms_first)
        AND (matches.confirmed_second OR given.confirms_second)
        AND matches.session_id = given.id
        AND matches.first_ticket = given.first_ticket
        AND matches.second_ticket = given.second_ticket
        AND matches.first_user = given.first_user AND matches.second_user = given.second_user
        AND NOT EXISTS (SELECT FROM sessions WHERE sessions.id = given.id)
        AND NOT EXISTS (SELECT FROM sessions WHERE sessions.match_id = given.match_id)
    RETURNING given.*
), freed AS (
    UPDATE tickets SET status = 'in_session', ended_at_ms = granted.opened_at_ms
    FROM granted
    WHERE tickets.id = ANY (ARRAY[granted.first_ticket, granted.second_ticket])
        AND tickets.match_id = granted.match_id
), opened AS (
    INSERT INTO sessions (
        id, match_id, first_user, second_user, question_id, question_title, question_difficulty,
        question_topics, opened_at_ms, ends_at_ms
    )
    SELECT
        id, match_id, first_user, second_user, question_id, question_title, question_difficulty,
        question_topics, opened_at_ms, ends_at_ms
    FROM granted
), announced AS (
    INSERT INTO outbox (
        event_id, session_id, routing_key, body, created_at_ms, attempts, next_try_at_ms
    )
    SELECT event_id, id, routing_key, body, opened_at_ms, 0, opened_at_ms FROM granted
)
SELECT match_id FROM granted",
    parameters: &[
        Ids, Ids, Ids, Ids, Texts, Texts, Numbers, Texts, Texts, Texts, Numbers, Numbers, Ids,
        Texts, Texts, Flags, Flags,
    ],
};

/// Refused where the session is not known. The first time of each side counts.
pub(super) const LEAVE_SESSIONS: Statement = Statement {
    text: "
UPDATE sessions SET
    left_first_ms = coalesce(sessions.left_first_ms, given.first_ms),
    left_second_ms = coalesce(sessions.left_second_ms, given.second_ms)
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS given (id, first_ms, second_ms)
WHERE sessions.id = given.id
RETURNING sessions.id",
    parameters: &[Ids, Numbers, Numbers],
};

/// Refused where the match is not open, or was given another later end before.
pub(super) const EXTEND_MATCHES: Statement = Statement {
    text: "
UPDATE matches SET extended = true, expires_at_ms = given.expires_at_ms
FROM unnest($1::uuid[], $2::bigint[]) AS given (id, expires_at_ms)
WHERE matches.id = given.id AND matches.ended_at_ms IS NULL
    AND (NOT matches.extended OR matches.expires_at_ms = given.expires_at_ms)
RETURNING matches.id",
    parameters: &[Ids, Numbers],
};

/// Refused where the ticket is not live.
pub(super) const DISCARD_TICKETS: Statement = Statement {
    text: "
UPDATE tickets SET status = 'refused', match_id = NULL, ended_at_ms = given.at_ms
FROM unnest($1::uuid[], $2::bigint[]) AS given (id, at_ms)
WHERE tickets.id = given.id AND tickets.ended_at_ms IS NULL
RETURNING tickets.id",
    parameters: &[Ids, Numbers],
};

/// What is known of tickets.
pub(super) const FIND_TICKETS: Statement = Statement {
    text: "SELECT id, user_id, status FROM tickets WHERE id = ANY ($1::uuid[])",
    parameters: &[Ids],
};

/// The live tickets of users.
pub(super) const FIND_LIVE: Statement = Statement {
    text: "
SELECT id, user_id, status FROM tickets
WHERE user_id = ANY ($1::text[]) AND status IN ('waiting', 'matched')",
    parameters: &[Texts],
};

/// What is known of matches, by their own ids or by those of the sessions that they open; by their
/// own also whether there is a session, and which tickets ended with them. Sessions are counted,
/// because EXISTS may read the whole table.
pub(super) const FIND_MATCHES: Statement = Statement {
    text: "
SELECT
    id, session_id, first_ticket, second_ticket, first_user, second_user, state,
    confirmed_first, confirmed_second,
    (SELECT count(*) FROM sessions WHERE sessions.id = matches.session_id)
        + (SELECT count(*) FROM sessions WHERE sessions.match_id = matches.id) > 0,
    coalesce(ended_at_ms = (SELECT ended_at_ms FROM tickets WHERE id = first_ticket), false),
    coalesce(ended_at_ms = (SELECT ended_at_ms FROM tickets WHERE id = second_ticket), false),
    expires_at_ms
FROM matches WHERE id = ANY ($1::uuid[])
UNION
SELECT
    id, session_id, first_ticket, second_ticket, first_user, second_user, state,
    confirmed_first, confirmed_second, false, false, false, expires_at_ms
FROM matches WHERE session_id = ANY ($2::uuid[])",
    parameters: &[Ids, Ids],
};
