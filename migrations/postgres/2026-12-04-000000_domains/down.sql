ALTER TABLE outbox
    ALTER COLUMN body TYPE text,
    ALTER COLUMN attempts TYPE bigint,
    ADD CONSTRAINT outbox_body_check CHECK (json_typeof(body::json) = 'object'),
    ADD CONSTRAINT outbox_attempts_check CHECK (attempts >= 0);

ALTER TABLE sessions
    ALTER COLUMN question_topics TYPE text,
    ADD CONSTRAINT sessions_question_topics_check
        CHECK (json_typeof(question_topics::json) = 'array');

ALTER TABLE matches
    ALTER COLUMN difficulty TYPE text,
    ALTER COLUMN state TYPE text,
    ADD CONSTRAINT matches_difficulty_check CHECK (difficulty IN ('easy', 'medium', 'hard')),
    ADD CONSTRAINT matches_state_check CHECK (state IN (
        'open', 'in_session', 'declined_first', 'declined_second', 'expired', 'question_unavailable'
    ));

ALTER TABLE tickets
    ALTER COLUMN user_id TYPE text,
    ALTER COLUMN difficulty TYPE text,
    ALTER COLUMN status TYPE text,
    ALTER COLUMN silences TYPE smallint,
    ALTER COLUMN asks TYPE bigint,
    ALTER COLUMN avoided TYPE text,
    ADD CONSTRAINT tickets_user_id_check CHECK (user_id <> ''),
    ADD CONSTRAINT tickets_difficulty_check CHECK (difficulty IN ('easy', 'medium', 'hard')),
    ADD CONSTRAINT tickets_status_check CHECK (status IN (
        'waiting', 'matched', 'in_session', 'withdrawn', 'declined', 'replaced', 'expired', 'refused'
    )),
    ADD CONSTRAINT tickets_silences_check CHECK (silences BETWEEN 0 AND 255),
    ADD CONSTRAINT tickets_asks_check CHECK (asks BETWEEN 0 AND 4294967295),
    ADD CONSTRAINT tickets_avoided_check CHECK (json_typeof(avoided::json) = 'array');

DROP DOMAIN user_name, difficulty, ticket_status, match_state, silences, asks, attempts, json_array,
    json_object;
