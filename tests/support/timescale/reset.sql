-- Drops everything that a test can leave in the one database of the test server. The extension itself stays: it
-- cannot be dropped and created again within one backend. Its own objects live in schema public as well.
DO $reset$
DECLARE
    command text;
BEGIN
    PERFORM set_config('client_min_messages', 'error', true);
    PERFORM delete_job(job_id) FROM timescaledb_information.jobs WHERE job_id >= 1000;  -- below: its own
    FOR command IN  -- the latest first: one may stand on another
        SELECT format('DROP MATERIALIZED VIEW %I.%I CASCADE', user_view_schema, user_view_name)
        FROM _timescaledb_catalog.continuous_agg ORDER BY mat_hypertable_id DESC
    LOOP
        EXECUTE command;
    END LOOP;
    FOR command IN
        SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace
        WHERE nspname <> 'public' AND nspname <> 'information_schema'
          AND nspname NOT LIKE 'pg\_%' AND nspname NOT LIKE '%timescaledb\_%'
        UNION ALL
        SELECT format('DROP TABLE IF EXISTS public.%I CASCADE', relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'f')
    LOOP
        EXECUTE command;
    END LOOP;
    -- names first: what falls with something else has none by then
    FOREACH command IN ARRAY ARRAY(
        SELECT format('DROP %s IF EXISTS public.%I CASCADE',
                      CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'SEQUENCE' END, relname)
        FROM pg_class AS found
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm', 'S')
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = found.oid AND deptype = 'e')
        UNION ALL
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', found.oid::regprocedure) FROM pg_proc AS found
        WHERE pronamespace = 'public'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = found.oid AND deptype = 'e')
        UNION ALL
        SELECT format('DROP TYPE IF EXISTS %s CASCADE', found.oid::regtype) FROM pg_type AS found
        WHERE typnamespace = 'public'::regnamespace AND (typtype IN ('d', 'e', 'r') OR EXISTS (SELECT FROM pg_class WHERE oid = typrelid AND relkind = 'c'))
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = found.oid AND deptype = 'e')
        UNION ALL
        SELECT format('DROP OWNED BY %1$I CASCADE; DROP ROLE %1$I', rolname) FROM pg_roles
        WHERE rolname NOT LIKE 'pg\_%' AND rolname <> current_user
    ) LOOP
        EXECUTE command;
    END LOOP;
END
$reset$;
