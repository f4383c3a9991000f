-- What ended long ago is removed in small steps, each along an index. These hold nothing that became
-- a session: such matches and tickets go with it.
CREATE INDEX matches_ended ON matches (ended_at_ms, id)
WHERE state NOT IN ('open', 'in_session');

CREATE INDEX tickets_ended ON tickets (ended_at_ms, id)
WHERE status NOT IN ('waiting', 'matched', 'in_session');

-- A session stays for as long as it is announced.
CREATE INDEX outbox_session ON outbox (session_id);
