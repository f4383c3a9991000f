DROP INDEX outbox_session;
DROP INDEX tickets_ended;
DROP INDEX matches_ended;
