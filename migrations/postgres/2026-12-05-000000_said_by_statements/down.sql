CREATE INDEX tickets_live_by_place ON tickets (enqueued_at_ms, id)
WHERE status IN ('waiting', 'matched');
ALTER TABLE matches
    ADD CONSTRAINT matches_check CHECK (first_ticket <> second_ticket),
    ADD CONSTRAINT matches_check1 CHECK (first_user <> second_user);
ALTER TABLE sessions
    ADD CONSTRAINT sessions_check CHECK (first_user <> second_user),
    ADD CONSTRAINT sessions_match_id_fkey FOREIGN KEY (match_id) REFERENCES matches (id);
ALTER TABLE outbox
    ADD CONSTRAINT outbox_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions (id);
