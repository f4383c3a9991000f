DROP INDEX matches_given_up;
DROP INDEX sessions_left;
