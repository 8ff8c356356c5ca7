-- What this database was born as.

CREATE TABLE environment (
    id SMALLINT NOT NULL,
    kind varchar NOT NULL,
    born_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_environment PRIMARY KEY (id),
    CONSTRAINT ck_environment_kind CHECK (kind IN ('sandbox', 'production')),
    CONSTRAINT ck_environment_single CHECK (id = 1),
    CONSTRAINT uq_environment_kind UNIQUE (kind)
);
