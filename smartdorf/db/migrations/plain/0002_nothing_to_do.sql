-- The plain profile keeps ordinary tables: for the demo, tests and trying out, not for production.
-- This file keeps both profiles at the same number.
DO $$ BEGIN END $$;
