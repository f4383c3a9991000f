-- What a single column must keep is said by its type. A CHECK of the table is read anew by every
-- statement that writes to the table, whichever columns it sets; that was a seventh of the work of a
-- write. A domain is read once by each connection, and judged where its column is set.

CREATE DOMAIN user_name AS text CHECK (value <> '');
CREATE DOMAIN difficulty AS text CHECK (value IN ('easy', 'medium', 'hard'));
CREATE DOMAIN ticket_status AS text CHECK (value IN (
    'waiting', 'matched', 'in_session', 'withdrawn', 'declined', 'replaced', 'expired', 'refused'
));
CREATE DOMAIN match_state AS text CHECK (value IN (
    'open', 'in_session', 'declined_first', 'declined_second', 'expired', 'question_unavailable'
));
CREATE DOMAIN silences AS smallint CHECK (value BETWEEN 0 AND 255);
CREATE DOMAIN asks AS bigint CHECK (value BETWEEN 0 AND 4294967295);
CREATE DOMAIN attempts AS bigint CHECK (value >= 0);
CREATE DOMAIN json_array AS text CHECK (json_typeof(value::json) = 'array');
CREATE DOMAIN json_object AS text CHECK (json_typeof(value::json) = 'object');

ALTER TABLE tickets
    DROP CONSTRAINT tickets_user_id_check,
    DROP CONSTRAINT tickets_difficulty_check,
    DROP CONSTRAINT tickets_status_check,
    DROP CONSTRAINT tickets_silences_check,
    DROP CONSTRAINT tickets_asks_check,
    DROP CONSTRAINT tickets_avoided_check,
    ALTER COLUMN user_id TYPE user_name,
    ALTER COLUMN difficulty TYPE difficulty,
    ALTER COLUMN status TYPE ticket_status,
    ALTER COLUMN silences TYPE silences,
    ALTER COLUMN asks TYPE asks,
    ALTER COLUMN avoided TYPE json_array;

ALTER TABLE matches
    DROP CONSTRAINT matches_difficulty_check,
    DROP CONSTRAINT matches_state_check,
    ALTER COLUMN difficulty TYPE difficulty,
    ALTER COLUMN state TYPE match_state;

ALTER TABLE sessions
    DROP CONSTRAINT sessions_question_topics_check,
    ALTER COLUMN question_topics TYPE json_array;

ALTER TABLE outbox
    DROP CONSTRAINT outbox_body_check,
    DROP CONSTRAINT outbox_attempts_check,
    ALTER COLUMN body TYPE json_object,
    ALTER COLUMN attempts TYPE attempts;
