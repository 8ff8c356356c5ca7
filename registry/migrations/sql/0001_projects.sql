-- Projects, areas of land, claims on its cells, documents.

CREATE TABLE document (
    sha256 varchar NOT NULL,
    media_type varchar NOT NULL,
    size_bytes BIGINT NOT NULL,
    name varchar NOT NULL,
    organisation_id UUID,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_document PRIMARY KEY (sha256),
    CONSTRAINT ck_document_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ck_document_size_bytes CHECK (size_bytes >= 0),
    CONSTRAINT fk_document_organisation_id
        FOREIGN KEY (organisation_id) REFERENCES organisation (id)
);
CREATE INDEX ix_document_organisation_id ON document (organisation_id);

CREATE TABLE project (
    id UUID NOT NULL,
    code varchar NOT NULL,
    name varchar NOT NULL,
    country varchar NOT NULL,
    activity varchar NOT NULL,
    methodology varchar NOT NULL,
    organisation_id UUID NOT NULL,
    description varchar NOT NULL,
    state varchar NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_project PRIMARY KEY (id),
    CONSTRAINT ck_project_code CHECK (code ~ '^[A-Z0-9]+(-[A-Z0-9]+)*$' AND length(code) <= 32),
    CONSTRAINT ck_project_country CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT ck_project_state CHECK (state IN ('registered', 'active', 'suspended', 'closed')),
    CONSTRAINT uq_project_id_country UNIQUE (id, country),
    CONSTRAINT uq_project_code UNIQUE (code),
    CONSTRAINT fk_project_organisation_id FOREIGN KEY (organisation_id) REFERENCES organisation (id)
);
CREATE INDEX ix_project_organisation_id ON project (organisation_id);

CREATE TABLE area (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    lineage UUID NOT NULL,
    version INTEGER NOT NULL,
    name varchar NOT NULL,
    pool varchar NOT NULL,
    geom geometry(MULTIPOLYGON,4326) NOT NULL,
    area_ha DOUBLE PRECISION NOT NULL,
    boundary_sha256 varchar NOT NULL,
    effective DATERANGE NOT NULL,
    state varchar NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_area PRIMARY KEY (id),
    CONSTRAINT ck_area_geom_valid CHECK (ST_IsValid(geom) AND NOT ST_IsEmpty(geom)),
    CONSTRAINT ck_area_geom_world CHECK (ST_MakeEnvelope(-180, -90, 180, 90, 4326) ~ geom),
    CONSTRAINT ck_area_area_ha CHECK (area_ha > 0),
    CONSTRAINT ck_area_version CHECK (version >= 1),
    CONSTRAINT ck_area_effective CHECK (NOT isempty(effective)),
    CONSTRAINT ck_area_boundary_sha256 CHECK (boundary_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ck_area_state CHECK (state IN ('active', 'superseded', 'withdrawn')),
    CONSTRAINT uq_area_lineage_version UNIQUE (lineage, version),
    CONSTRAINT uq_area_id_project_id_lineage_pool UNIQUE (id, project_id, lineage, pool),
    CONSTRAINT ex_area_lineage
        EXCLUDE USING gist (lineage WITH =, effective WITH &&) WHERE (state <> 'withdrawn'),
    CONSTRAINT fk_area_project_id FOREIGN KEY (project_id) REFERENCES project (id)
);
CREATE INDEX idx_area_geom ON area USING gist (geom);
CREATE INDEX ix_area_project_id ON area (project_id);

CREATE TABLE claim (
    cell BIGINT NOT NULL,
    pool varchar NOT NULL,
    period DATERANGE NOT NULL,
    area_id UUID NOT NULL,
    project_id UUID NOT NULL,
    area_lineage UUID NOT NULL,
    mode varchar NOT NULL,
    CONSTRAINT pk_claim PRIMARY KEY (area_id, cell),
    CONSTRAINT fk_claim_area_id_project_id_area_lineage_pool
        FOREIGN KEY (area_id, project_id, area_lineage, pool)
        REFERENCES area (id, project_id, lineage, pool),
    CONSTRAINT ck_claim_mode CHECK (mode IN ('exclusive', 'shared')),
    CONSTRAINT ck_claim_period CHECK (NOT isempty(period)),
    CONSTRAINT ex_claim_cell
        EXCLUDE USING gist (cell WITH =, pool WITH =, period WITH &&) WHERE (mode = 'exclusive')
);

-- --- land is claimed once -----------------------------------------------------------------------

CREATE FUNCTION land_overlaps(
    asked geometry, in_time daterange, in_pool text, but_lineage uuid
) RETURNS TABLE (project_code text, area_name text, overlap_ha double precision)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
-- Areas that share too much (geodesic, WGS 84 ellipsoid) with the asked geometry in the same days
-- and pool: more than 0.01 ha or 1 % of the smaller one, or all together more than 0.01 ha.
-- Neighbours share a border, which has no area.
    SELECT found.code, found.name, found.shared_ha
    FROM (
        SELECT shared.*, sum(shared.shared_ha) OVER () AS all_ha,
               least(shared.area_ha, ST_Area(asked::geography) / 10000) AS smaller_ha
        FROM (
            SELECT project.code, area.name, area.area_ha,
                   ST_Area(ST_CollectionExtract(ST_Intersection(area.geom, asked), 3)::geography)
                   / 10000 AS shared_ha
            FROM area JOIN project ON project.id = area.project_id
            WHERE area.state <> 'withdrawn' AND area.pool = in_pool AND area.effective && in_time
              AND area.lineage <> but_lineage AND ST_Intersects(area.geom, asked)
        ) AS shared
    ) AS found
    WHERE found.shared_ha > least(0.01, 0.01 * found.smaller_ha)
       OR (found.all_ha > 0.01 AND found.shared_ha > 0)
    ORDER BY found.shared_ha DESC, found.code
$$;

CREATE FUNCTION lock_land() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
-- One registration of land at a time, until the transaction ends. Key: "land" in ASCII.
    SELECT pg_advisory_xact_lock(1818324580)
$$;

CREATE FUNCTION refuse_overlap() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE other record;
BEGIN
    IF NEW.state = 'withdrawn' THEN
        RETURN NEW;
    END IF;
    PERFORM lock_land();
    SELECT * INTO other FROM land_overlaps(NEW.geom, NEW.effective, NEW.pool, NEW.lineage) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'area % overlaps project % by % ha',
            NEW.name, other.project_code, round(other.overlap_ha::numeric, 4)
            USING ERRCODE = 'exclusion_violation', TABLE = 'area', CONSTRAINT = 'ex_area_geom';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER keeps_off_others BEFORE INSERT OR UPDATE OF state, effective ON area
    FOR EACH ROW EXECUTE FUNCTION refuse_overlap();
