-- What the statements that write say themselves is not judged a second time with every write: it was a
-- twentieth of their work.

-- A session and its announcement are inserted from what the statement returns that locks and changes the
-- row of their match; a session is removed when its announcements are gone, and its match with it.
ALTER TABLE outbox DROP CONSTRAINT outbox_session_id_fkey;
ALTER TABLE sessions
    DROP CONSTRAINT sessions_match_id_fkey,
    DROP CONSTRAINT sessions_check;

-- Two tickets of two users: the statement that proposes has it as a condition.
ALTER TABLE matches
    DROP CONSTRAINT matches_check,
    DROP CONSTRAINT matches_check1;

-- Only the start read it, which can sort what waits.
DROP INDEX tickets_live_by_place;
