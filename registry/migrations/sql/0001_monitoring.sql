-- Requests, reports, verified periods, reviews.

CREATE TABLE monitoring_request (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    area_id UUID NOT NULL,
    area_lineage UUID NOT NULL,
    pool varchar NOT NULL,
    period DATERANGE NOT NULL,
    requested_by UUID NOT NULL,
    catalog varchar NOT NULL,
    collection varchar NOT NULL,
    sensor varchar NOT NULL,
    season varchar,
    methodology varchar NOT NULL,
    parameters JSONB NOT NULL,
    plots_sha256 varchar,
    boundary_sha256 varchar NOT NULL,
    state varchar NOT NULL,
    lease_owner varchar,
    leased_until timestamptz,
    heartbeat_at timestamptz,
    attempts INTEGER NOT NULL,
    progress varchar,
    failure varchar,
    created_at timestamptz DEFAULT now() NOT NULL,
    finished_at timestamptz,
    CONSTRAINT pk_monitoring_request PRIMARY KEY (id),
    CONSTRAINT fk_monitoring_request_area_id_project_id_area_lineage_pool
        FOREIGN KEY (area_id, project_id, area_lineage, pool)
        REFERENCES area (id, project_id, lineage, pool),
    CONSTRAINT uq_monitoring_request_id_project_id_area_id_area_lineag_75e0
        UNIQUE (id, project_id, area_id, area_lineage, pool, period),
    CONSTRAINT ck_monitoring_request_period
        CHECK (NOT isempty(period) AND NOT lower_inf(period) AND NOT upper_inf(period)),
    CONSTRAINT ck_monitoring_request_state
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    CONSTRAINT ck_monitoring_request_lease
        CHECK (state <> 'running' OR num_nulls(lease_owner, leased_until) = 0),
    CONSTRAINT ck_monitoring_request_attempts CHECK (attempts >= 0),
    CONSTRAINT ck_monitoring_request_boundary_sha256 CHECK (boundary_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ex_monitoring_request_live
        EXCLUDE USING gist (area_lineage WITH =, pool WITH =, period WITH &&)
            WHERE (state IN ('queued', 'running')),
    CONSTRAINT fk_monitoring_request_requested_by
        FOREIGN KEY (requested_by) REFERENCES app_user (id),
    CONSTRAINT fk_monitoring_request_plots_sha256
        FOREIGN KEY (plots_sha256) REFERENCES document (sha256)
);
CREATE INDEX ix_monitoring_request_project ON monitoring_request (project_id, id);
CREATE INDEX ix_monitoring_request_queue ON monitoring_request (id) WHERE state IN ('queued', 'running');

CREATE TABLE monitoring_report (
    id UUID NOT NULL,
    request_id UUID NOT NULL,
    project_id UUID NOT NULL,
    area_id UUID NOT NULL,
    area_lineage UUID NOT NULL,
    pool varchar NOT NULL,
    period DATERANGE NOT NULL,
    kind varchar NOT NULL,
    environment varchar NOT NULL,
    digest varchar NOT NULL,
    methodology varchar NOT NULL,
    estimate JSONB NOT NULL,
    estimate_sha256 varchar NOT NULL,
    evidence_uri varchar NOT NULL,
    submitted_by varchar NOT NULL,
    state varchar NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    decided_at timestamptz,
    CONSTRAINT pk_monitoring_report PRIMARY KEY (id),
    CONSTRAINT fk_monitoring_report_request_id_project_id_area_id_area_9f56
        FOREIGN KEY (request_id, project_id, area_id, area_lineage, pool, period)
        REFERENCES monitoring_request (id, project_id, area_id, area_lineage, pool, period),
    CONSTRAINT uq_monitoring_report_request_id_digest UNIQUE (request_id, digest),
    CONSTRAINT uq_monitoring_report_id_kind UNIQUE (id, kind),
    CONSTRAINT uq_monitoring_report_id_project_id_kind_environment
        UNIQUE (id, project_id, kind, environment),
    CONSTRAINT uq_monitoring_report_id_project_id_area_lineage_pool_period
        UNIQUE (id, project_id, area_lineage, pool, period),
    CONSTRAINT ck_monitoring_report_kind
        CHECK (kind IN ('indicative', 'demonstration', 'issuable')),
    CONSTRAINT ck_monitoring_report_state
        CHECK (state IN ('queued', 'in_review', 'approved', 'refused', 'opinion_given')),
    CONSTRAINT ck_monitoring_report_indicative CHECK (kind <> 'indicative' OR state <> 'approved'),
    CONSTRAINT ck_monitoring_report_opinion CHECK (kind = 'indicative' OR state <> 'opinion_given'),
    CONSTRAINT ck_monitoring_report_digest CHECK (digest <> ''),
    CONSTRAINT ck_monitoring_report_estimate_sha256 CHECK (estimate_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT fk_monitoring_report_environment
        FOREIGN KEY (environment) REFERENCES environment (kind)
);
CREATE INDEX ix_monitoring_report_project ON monitoring_report (project_id, id);
CREATE INDEX ix_monitoring_report_queue ON monitoring_report (state, id);

CREATE TABLE review (
    id UUID NOT NULL,
    report_id UUID NOT NULL,
    report_kind varchar NOT NULL,
    verifier_id UUID NOT NULL,
    taken_at timestamptz DEFAULT now() NOT NULL,
    leased_until timestamptz NOT NULL,
    decision varchar,
    reasons varchar,
    findings JSONB,
    decided_at timestamptz,
    released_at timestamptz,
    CONSTRAINT pk_review PRIMARY KEY (id),
    CONSTRAINT fk_review_report_id_report_kind
        FOREIGN KEY (report_id, report_kind) REFERENCES monitoring_report (id, kind),
    CONSTRAINT ck_review_decision CHECK (decision IN ('approve', 'refuse', 'opinion')),
    CONSTRAINT ck_review_decided CHECK ((decision IS NULL) = (decided_at IS NULL)),
    CONSTRAINT ck_review_reasons CHECK (decision IS NULL OR coalesce(reasons, '') <> ''),
    CONSTRAINT ck_review_indicative
        CHECK (report_kind <> 'indicative' OR decision IS DISTINCT FROM 'approve'),
    CONSTRAINT ck_review_released CHECK (decided_at IS NULL OR released_at IS NULL),
    CONSTRAINT fk_review_verifier_id FOREIGN KEY (verifier_id) REFERENCES app_user (id)
);
CREATE INDEX ix_review_verifier_id ON review (verifier_id);
CREATE UNIQUE INDEX uq_review_open ON review (report_id) WHERE released_at IS NULL;

CREATE TABLE verified_period (
    id UUID NOT NULL,
    report_id UUID NOT NULL,
    project_id UUID NOT NULL,
    area_lineage UUID NOT NULL,
    pool varchar NOT NULL,
    period DATERANGE NOT NULL,
    ends_before DATE NOT NULL,
    follows DATE,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_verified_period PRIMARY KEY (id),
    CONSTRAINT fk_verified_period_report_id_project_id_area_lineage_po_9e5f
        FOREIGN KEY (report_id, project_id, area_lineage, pool, period)
        REFERENCES monitoring_report (id, project_id, area_lineage, pool, period),
    CONSTRAINT fk_verified_period_project_id_pool_area_lineage_follows
        FOREIGN KEY (project_id, pool, area_lineage, follows)
        REFERENCES verified_period (project_id, pool, area_lineage, ends_before),
    CONSTRAINT uq_verified_period_project_id_pool_area_lineage_ends_before
        UNIQUE (project_id, pool, area_lineage, ends_before),
    CONSTRAINT uq_verified_period_report_id UNIQUE (report_id),
    CONSTRAINT ck_verified_period_period
        CHECK (NOT isempty(period) AND NOT lower_inf(period) AND NOT upper_inf(period)),
    CONSTRAINT ck_verified_period_ends_before CHECK (ends_before = upper(period)),
    CONSTRAINT ck_verified_period_follows CHECK (follows = lower(period)),
    CONSTRAINT ex_verified_period
        EXCLUDE USING gist (project_id WITH =, area_lineage WITH =, pool WITH =, period WITH &&)
);
CREATE UNIQUE INDEX uq_verified_period_first ON verified_period (project_id, pool, area_lineage) WHERE follows IS NULL;

-- --- decisions ----------------------------------------------------------------------------------

CREATE FUNCTION review_by_stranger() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM app_user WHERE id = NEW.verifier_id
                   AND 'verifier' = ANY (roles) AND disabled_at IS NULL) THEN
        RAISE EXCEPTION 'user % is no active verifier', NEW.verifier_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'review_by_verifier';
    END IF;
    IF EXISTS (SELECT FROM app_user
               JOIN project USING (organisation_id)
               JOIN monitoring_report ON monitoring_report.project_id = project.id
               WHERE app_user.id = NEW.verifier_id AND monitoring_report.id = NEW.report_id) THEN
        RAISE EXCEPTION 'user % belongs to the organisation of the project', NEW.verifier_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'review_by_stranger';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER by_stranger BEFORE INSERT ON review
    FOR EACH ROW EXECUTE FUNCTION review_by_stranger();

CREATE FUNCTION refuse_closed_review() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF num_nonnulls(OLD.decided_at, OLD.released_at) > 0 THEN
        RAISE EXCEPTION 'review % was closed', OLD.id
            USING ERRCODE = 'restrict_violation', TABLE = 'review', CONSTRAINT = 'final_state';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER final_state BEFORE UPDATE ON review
    FOR EACH ROW EXECUTE FUNCTION refuse_closed_review();

CREATE FUNCTION decision_has_review() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
-- Nothing is approved, refused or commented on but by a verifier's decided review.
DECLARE
    wanted text := CASE NEW.state WHEN 'approved' THEN 'approve' WHEN 'refused' THEN 'refuse'
                                  ELSE 'opinion' END;
BEGIN
    IF NOT EXISTS (SELECT FROM review WHERE report_id = NEW.id AND decision = wanted) THEN
        RAISE EXCEPTION 'report % is % without a review that says so', NEW.id, NEW.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'decision_has_review';
    END IF;
    IF NEW.state = 'approved'
       AND NOT EXISTS (SELECT FROM verified_period WHERE report_id = NEW.id) THEN
        RAISE EXCEPTION 'report % is approved without a verified period', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'approval_has_period';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER decision_has_review AFTER INSERT OR UPDATE OF state ON monitoring_report
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state IN ('approved', 'refused', 'opinion_given'))
    EXECUTE FUNCTION decision_has_review();

CREATE FUNCTION stands_on_approval() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
-- For verified_period and batch, at commit.
BEGIN
    IF NOT EXISTS (SELECT FROM monitoring_report WHERE id = NEW.report_id AND state = 'approved')
    THEN
        RAISE EXCEPTION '% % stands on report %, which is not approved',
            TG_TABLE_NAME, NEW.id, NEW.report_id
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'stands_on_approval';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER stands_on_approval AFTER INSERT ON verified_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stands_on_approval();
