-- Guards that several tables share. Every function names its search path, so that nobody can
-- put a temporary table in front of the one that is meant.

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is history: % is refused; correct it with a new row',
        TG_TABLE_NAME, lower(TG_OP)
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'frozen_history';
END $$;

CREATE FUNCTION refuse_leaving() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
-- Arguments: the final states of the table.
BEGIN
    IF OLD.state = ANY (TG_ARGV) AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION '% % is %, which is final', TG_TABLE_NAME, OLD.id, OLD.state
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'final_state';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION require_audit() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM audit_event WHERE xact = pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION '% on % without an audit event in the same transaction',
            lower(TG_OP), TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'audit_required';
    END IF;
    RETURN NULL;
END $$;
