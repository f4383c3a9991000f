ALTER TABLE matches
    ADD CONSTRAINT matches_check2 CHECK ((ended_at_ms IS NULL) = (state = 'open')),
    ADD CONSTRAINT matches_check3 CHECK (state <> 'in_session' OR (confirmed_first AND confirmed_second));
ALTER TABLE tickets
    ADD CONSTRAINT tickets_check CHECK ((match_id IS NOT NULL) = (status IN ('matched', 'in_session'))),
    ADD CONSTRAINT tickets_check1 CHECK ((ended_at_ms IS NULL) = (status IN ('waiting', 'matched')));
