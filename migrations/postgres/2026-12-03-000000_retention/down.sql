ALTER TABLE matches ADD FOREIGN KEY (first_ticket) REFERENCES tickets (id);
ALTER TABLE matches ADD FOREIGN KEY (second_ticket) REFERENCES tickets (id);
ALTER TABLE tickets ADD FOREIGN KEY (match_id) REFERENCES matches (id);
DROP INDEX outbox_session;
DROP INDEX tickets_ended;
DROP INDEX matches_ended;
