-- Tickets and matches name each other, so their rows can only go together.
PRAGMA defer_foreign_keys = ON;
DROP TABLE outbox;
DROP TABLE sessions;
DELETE FROM matches;
DELETE FROM tickets;
DROP TABLE matches;
DROP TABLE tickets;
