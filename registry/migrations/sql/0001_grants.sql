-- What the application may do: read all, add rows, change the columns that are present and not
-- history. It owns nothing, so it can neither disable a trigger nor change a constraint.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'amanar_app') THEN
        CREATE ROLE amanar_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server was migrated at the same moment
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO amanar_app;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO amanar_app;

GRANT INSERT ON
    command, organisation, app_user, api_key, account, notification,
    project, area, claim, document,
    monitoring_request, monitoring_report, verified_period, review,
    batch, credit_block, posting, retirement, listing, purchase,
    log_leaf, checkpoint
TO amanar_app;

-- Not `xact` and `seq`: those are the database's word.
GRANT INSERT (at, actor, action, subject, environment, content, leaf_sha256)
    ON audit_event TO amanar_app;
GRANT INSERT (id, code, actor, corrects_id, at) ON transfer TO amanar_app;

GRANT UPDATE (name, country) ON organisation TO amanar_app;
GRANT UPDATE (name, email, roles, password_hash, disabled_at) ON app_user TO amanar_app;
GRANT UPDATE (revoked_at) ON api_key TO amanar_app;
GRANT UPDATE (state) ON account TO amanar_app;
GRANT UPDATE (read_at) ON notification TO amanar_app;
GRANT UPDATE (name, activity, description, state) ON project TO amanar_app;
GRANT UPDATE (state, effective) ON area TO amanar_app;
GRANT UPDATE (period) ON claim TO amanar_app;
GRANT UPDATE (state, lease_owner, leased_until, heartbeat_at, attempts, progress, failure,
              finished_at) ON monitoring_request TO amanar_app;
GRANT UPDATE (state, decided_at) ON monitoring_report TO amanar_app;
GRANT UPDATE (leased_until, decision, reasons, findings, decided_at, released_at)
    ON review TO amanar_app;
GRANT UPDATE (serials, account_id, state), DELETE ON credit_block TO amanar_app;
GRANT UPDATE (remaining_kg, state, closed_at) ON listing TO amanar_app;

-- The job queue is machinery, not history.
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                WHERE nspname = 'public' AND relkind = 'r' AND relname LIKE 'procrastinate\_%' LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO amanar_app', name);
    END LOOP;
    FOR name IN SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                WHERE nspname = 'public' AND relkind = 'S' AND relname LIKE 'procrastinate\_%' LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %I TO amanar_app', name);
    END LOOP;
END $$;
