-- Organisations, people, keys, accounts, notifications, remembered commands.

CREATE TABLE command (
    id UUID NOT NULL,
    actor varchar NOT NULL,
    action varchar NOT NULL,
    content_sha256 varchar NOT NULL,
    result JSONB NOT NULL,
    at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_command PRIMARY KEY (id),
    CONSTRAINT ck_command_content_sha256 CHECK (content_sha256 ~ '^[0-9a-f]{64}$')
);

CREATE TABLE organisation (
    id UUID NOT NULL,
    name varchar NOT NULL,
    country varchar NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_organisation PRIMARY KEY (id),
    CONSTRAINT ck_organisation_country CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT ck_organisation_name CHECK (name <> ''),
    CONSTRAINT uq_organisation_name UNIQUE (name)
);

CREATE TABLE account (
    id UUID NOT NULL,
    organisation_id UUID,
    kind varchar NOT NULL,
    state varchar NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_account PRIMARY KEY (id),
    CONSTRAINT ck_account_kind
        CHECK (kind IN ('holding', 'listed', 'cash',
            'issuance', 'buffer', 'reserve', 'retired', 'cancelled', 'cash_source')),
    CONSTRAINT ck_account_state CHECK (state IN ('open', 'frozen')),
    CONSTRAINT ck_account_owner
        CHECK ((kind IN ('holding', 'listed', 'cash')) = (organisation_id IS NOT NULL)),
    CONSTRAINT fk_account_organisation_id FOREIGN KEY (organisation_id) REFERENCES organisation (id)
);
CREATE UNIQUE INDEX uq_account_own ON account (organisation_id, kind);
CREATE UNIQUE INDEX uq_account_pool ON account (kind) WHERE organisation_id IS NULL;

CREATE TABLE app_user (
    id UUID NOT NULL,
    organisation_id UUID NOT NULL,
    email varchar NOT NULL,
    name varchar NOT NULL,
    roles TEXT[] NOT NULL,
    password_hash varchar,
    disabled_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_app_user PRIMARY KEY (id),
    CONSTRAINT ck_app_user_email CHECK (email = lower(email) AND email LIKE '%_@_%'),
    CONSTRAINT ck_app_user_roles
        CHECK (cardinality(roles) > 0
            AND roles <@ ARRAY['developer', 'verifier', 'buyer', 'operator']),
    CONSTRAINT fk_app_user_organisation_id
        FOREIGN KEY (organisation_id) REFERENCES organisation (id),
    CONSTRAINT uq_app_user_email UNIQUE (email)
);
CREATE INDEX ix_app_user_organisation_id ON app_user (organisation_id);

CREATE TABLE notification (
    id UUID NOT NULL,
    organisation_id UUID NOT NULL,
    kind varchar NOT NULL,
    subject varchar NOT NULL,
    message varchar NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    read_at timestamptz,
    CONSTRAINT pk_notification PRIMARY KEY (id),
    CONSTRAINT fk_notification_organisation_id
        FOREIGN KEY (organisation_id) REFERENCES organisation (id)
);
CREATE INDEX ix_notification_inbox ON notification (organisation_id, id);

CREATE TABLE api_key (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    label varchar NOT NULL,
    prefix varchar NOT NULL,
    secret_sha256 varchar NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT pk_api_key PRIMARY KEY (id),
    CONSTRAINT ck_api_key_secret_sha256 CHECK (secret_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT fk_api_key_user_id FOREIGN KEY (user_id) REFERENCES app_user (id),
    CONSTRAINT uq_api_key_prefix UNIQUE (prefix)
);
CREATE INDEX ix_api_key_user_id ON api_key (user_id);
