-- What ended long ago is removed in small steps, each along an index. These hold nothing that became
-- a session: such matches and tickets go with it.
CREATE INDEX matches_ended ON matches (ended_at_ms, id)
WHERE state NOT IN ('open', 'in_session');

CREATE INDEX tickets_ended ON tickets (ended_at_ms, id)
WHERE status NOT IN ('waiting', 'matched', 'in_session');

-- A session stays for as long as it is announced.
CREATE INDEX outbox_session ON outbox (session_id);

-- No index leads from a ticket to its matches, or back, so each row that is removed would be looked
-- for in all of the other table. Every statement that writes one of these columns locks the row that
-- it names first.
ALTER TABLE tickets DROP CONSTRAINT tickets_match_id_fkey;
ALTER TABLE matches DROP CONSTRAINT matches_first_ticket_fkey;
ALTER TABLE matches DROP CONSTRAINT matches_second_ticket_fkey;
