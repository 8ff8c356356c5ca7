-- Which table is guarded how. The lists are the policy; the loops only spell it out.

DO $$
DECLARE name text;
BEGIN
    -- History: never updated, deleted or truncated.
    FOREACH name IN ARRAY ARRAY[
        'environment', 'command', 'audit_event', 'log_leaf', 'checkpoint',
        'verified_period', 'batch', 'transfer', 'posting', 'retirement', 'purchase'
    ] LOOP
        EXECUTE format('CREATE TRIGGER frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;

    -- What was filed stays as it was filed; the state beside it goes on.
    CREATE TRIGGER frozen BEFORE UPDATE OF estimate, estimate_sha256, digest, evidence_uri
        ON monitoring_report FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- A change needs an audit event in its transaction; looked at when it commits.
    FOREACH name IN ARRAY ARRAY[
        'organisation', 'app_user', 'api_key', 'account', 'project', 'area', 'monitoring_report',
        'verified_period', 'review', 'batch', 'credit_block', 'transfer', 'retirement',
        'listing', 'purchase'
    ] LOOP
        EXECUTE format('CREATE CONSTRAINT TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON %I
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_audit()', name);
    END LOOP;
END $$;

-- A heartbeat or a progress note is no event; a change of state is.
CREATE CONSTRAINT TRIGGER audited_insert AFTER INSERT OR DELETE ON monitoring_request
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_audit();
CREATE CONSTRAINT TRIGGER audited_step AFTER UPDATE ON monitoring_request
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION require_audit();

-- Claims come by the hundred thousand: one look a statement, so the event is written before them.
CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON claim
    FOR EACH STATEMENT EXECUTE FUNCTION require_audit();

CREATE TRIGGER final_state BEFORE UPDATE OF state ON project
    FOR EACH ROW EXECUTE FUNCTION refuse_leaving('closed');
CREATE TRIGGER final_state BEFORE UPDATE OF state ON area
    FOR EACH ROW EXECUTE FUNCTION refuse_leaving('superseded', 'withdrawn');
CREATE TRIGGER final_state BEFORE UPDATE OF state ON monitoring_request
    FOR EACH ROW EXECUTE FUNCTION refuse_leaving('done', 'failed', 'cancelled');
CREATE TRIGGER final_state BEFORE UPDATE OF state ON monitoring_report
    FOR EACH ROW EXECUTE FUNCTION refuse_leaving('approved', 'refused', 'opinion_given');
CREATE TRIGGER final_state BEFORE UPDATE OF state ON listing
    FOR EACH ROW EXECUTE FUNCTION refuse_leaving('sold', 'withdrawn');
