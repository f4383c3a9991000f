-- Ids are the 16 bytes of a UUID, times are milliseconds since the Unix epoch, lists are JSON.

CREATE TABLE tickets (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id TEXT NOT NULL CHECK (length(user_id) > 0),
    difficulty TEXT NOT NULL CHECK (difficulty IN ('easy', 'medium', 'hard')),
    topic TEXT NOT NULL,
    topic_key TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN (
        'waiting', 'matched', 'in_session', 'withdrawn', 'declined', 'replaced', 'expired', 'refused'
    )),
    match_id BLOB REFERENCES matches (id),
    enqueued_at_ms INTEGER NOT NULL,
    waits_until_ms INTEGER NOT NULL,
    put_back INTEGER NOT NULL CHECK (put_back IN (0, 1)),
    silences INTEGER NOT NULL CHECK (silences BETWEEN 0 AND 255),
    asks INTEGER NOT NULL CHECK (asks BETWEEN 0 AND 4294967295),
    avoided TEXT NOT NULL CHECK (json_valid(avoided)),
    ended_at_ms INTEGER,
    CHECK ((match_id IS NOT NULL) = (status IN ('matched', 'in_session'))),
    CHECK ((ended_at_ms IS NULL) = (status IN ('waiting', 'matched')))
) STRICT, WITHOUT ROWID;

-- The referee of "one live claim per user".
CREATE UNIQUE INDEX tickets_one_live_per_user ON tickets (user_id)
WHERE status IN ('waiting', 'matched');

-- Start-up reads the live tickets in the order of their places.
CREATE INDEX tickets_live_by_place ON tickets (enqueued_at_ms, id)
WHERE status IN ('waiting', 'matched');

CREATE TABLE matches (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    session_id BLOB NOT NULL UNIQUE CHECK (length(session_id) = 16),
    first_ticket BLOB NOT NULL REFERENCES tickets (id),
    second_ticket BLOB NOT NULL REFERENCES tickets (id),
    first_user TEXT NOT NULL,
    second_user TEXT NOT NULL,
    difficulty TEXT NOT NULL CHECK (difficulty IN ('easy', 'medium', 'hard')),
    topic_key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN (
        'open', 'in_session', 'declined_first', 'declined_second', 'expired', 'question_unavailable'
    )),
    confirmed_first INTEGER NOT NULL CHECK (confirmed_first IN (0, 1)),
    confirmed_second INTEGER NOT NULL CHECK (confirmed_second IN (0, 1)),
    proposed_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    extended INTEGER NOT NULL CHECK (extended IN (0, 1)),
    ended_at_ms INTEGER,
    CHECK (first_ticket <> second_ticket),
    CHECK (first_user <> second_user),
    CHECK ((ended_at_ms IS NULL) = (state = 'open')),
    CHECK (state <> 'in_session' OR (confirmed_first = 1 AND confirmed_second = 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX matches_open ON matches (proposed_at_ms, id) WHERE state = 'open';

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    match_id BLOB NOT NULL UNIQUE REFERENCES matches (id),
    first_user TEXT NOT NULL,
    second_user TEXT NOT NULL,
    question_id INTEGER NOT NULL,
    question_title TEXT NOT NULL,
    question_difficulty TEXT NOT NULL,
    question_topics TEXT NOT NULL CHECK (json_valid(question_topics)),
    opened_at_ms INTEGER NOT NULL,
    ends_at_ms INTEGER NOT NULL,
    left_first_ms INTEGER,
    left_second_ms INTEGER,
    CHECK (first_user <> second_user)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_open ON sessions (ends_at_ms)
WHERE left_first_ms IS NULL OR left_second_ms IS NULL;

CREATE TABLE outbox (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    event_id BLOB NOT NULL UNIQUE CHECK (length(event_id) = 16),
    session_id BLOB NOT NULL REFERENCES sessions (id),
    routing_key TEXT NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body)),
    created_at_ms INTEGER NOT NULL,
    sent_at_ms INTEGER,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    next_try_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_unsent ON outbox (next_try_at_ms, sequence) WHERE sent_at_ms IS NULL;
