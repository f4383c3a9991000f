-- The same for what a state says of other columns, which each statement sets together with it: a CHECK of
-- the table is read anew by every statement that writes to the table, and judged for every row.
ALTER TABLE tickets
    DROP CONSTRAINT tickets_check,
    DROP CONSTRAINT tickets_check1;
ALTER TABLE matches
    DROP CONSTRAINT matches_check2,
    DROP CONSTRAINT matches_check3;
