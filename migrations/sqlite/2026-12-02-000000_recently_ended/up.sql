-- Start-up looks for sessions whose end the shared store may not have heard of.
CREATE INDEX sessions_left ON sessions (ends_at_ms)
WHERE left_first_ms IS NOT NULL AND left_second_ms IS NOT NULL;

CREATE INDEX matches_given_up ON matches (ended_at_ms)
WHERE state = 'question_unavailable';
