-- The audit log: events, their place in the tree, signed checkpoints.

CREATE TABLE checkpoint (
    tree_size BIGINT NOT NULL,
    root_sha256 BYTEA NOT NULL,
    origin varchar NOT NULL,
    public_key BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_checkpoint PRIMARY KEY (tree_size),
    CONSTRAINT ck_checkpoint_tree_size CHECK (tree_size > 0),
    CONSTRAINT ck_checkpoint_root_sha256 CHECK (octet_length(root_sha256) = 32),
    CONSTRAINT ck_checkpoint_signature CHECK (octet_length(signature) = 64),
    CONSTRAINT ck_checkpoint_public_key CHECK (octet_length(public_key) = 32)
);

CREATE TABLE audit_event (
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    at timestamptz DEFAULT now() NOT NULL,
    actor varchar NOT NULL,
    action varchar NOT NULL,
    subject varchar NOT NULL,
    environment varchar NOT NULL,
    content JSONB NOT NULL,
    leaf_sha256 BYTEA NOT NULL,
    xact BIGINT DEFAULT pg_current_xact_id()::text::bigint NOT NULL,
    CONSTRAINT pk_audit_event PRIMARY KEY (seq),
    CONSTRAINT ck_audit_event_action CHECK (action ~ '^[a-z_]+:[a-z_]+:[a-z_]+$'),
    CONSTRAINT ck_audit_event_actor CHECK (actor ~ '^(user|system):.+$'),
    CONSTRAINT ck_audit_event_leaf_sha256 CHECK (octet_length(leaf_sha256) = 32),
    CONSTRAINT fk_audit_event_environment FOREIGN KEY (environment) REFERENCES environment (kind)
);
CREATE INDEX ix_audit_event_subject ON audit_event (subject, seq);
CREATE INDEX ix_audit_event_xact ON audit_event (xact);

CREATE TABLE log_leaf (
    leaf_index BIGINT NOT NULL,
    event_seq BIGINT NOT NULL,
    CONSTRAINT pk_log_leaf PRIMARY KEY (leaf_index),
    CONSTRAINT ck_log_leaf_leaf_index CHECK (leaf_index >= 0),
    CONSTRAINT uq_log_leaf_event_seq UNIQUE (event_seq),
    CONSTRAINT fk_log_leaf_event_seq FOREIGN KEY (event_seq) REFERENCES audit_event (seq)
);

CREATE FUNCTION leaves_without_holes() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.leaf_index > 0
       AND NOT EXISTS (SELECT FROM log_leaf WHERE leaf_index = NEW.leaf_index - 1) THEN
        RAISE EXCEPTION 'leaf % has no leaf before it', NEW.leaf_index
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'log_leaf',
                  CONSTRAINT = 'leaves_without_holes';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER leaves_without_holes AFTER INSERT ON log_leaf
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION leaves_without_holes();
