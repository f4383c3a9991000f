-- Tickets and matches name each other, so their tables can only go together.
DROP TABLE outbox, sessions, matches, tickets;
