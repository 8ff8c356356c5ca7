-- Batches, blocks, transfers, postings, balances, retirements. One serial is one kilogram.

CREATE TABLE transfer (
    id UUID NOT NULL,
    code varchar NOT NULL,
    actor varchar NOT NULL,
    corrects_id UUID,
    at timestamptz DEFAULT now() NOT NULL,
    xact BIGINT DEFAULT pg_current_xact_id()::text::bigint NOT NULL,
    CONSTRAINT pk_transfer PRIMARY KEY (id),
    CONSTRAINT ck_transfer_code
        CHECK (code IN ('mint', 'transfer', 'list', 'withdraw', 'purchase',
            'retire', 'cancel', 'deposit', 'correct')),
    CONSTRAINT fk_transfer_corrects_id FOREIGN KEY (corrects_id) REFERENCES transfer (id)
);
CREATE INDEX ix_transfer_corrects_id ON transfer (corrects_id);

CREATE TABLE balance (
    account_id UUID NOT NULL,
    unit varchar NOT NULL,
    amount BIGINT NOT NULL,
    may_overdraw BOOLEAN NOT NULL,
    CONSTRAINT pk_balance PRIMARY KEY (account_id, unit),
    CONSTRAINT ck_balance_not_overdrawn CHECK (amount >= 0 OR may_overdraw),
    CONSTRAINT fk_balance_account_id FOREIGN KEY (account_id) REFERENCES account (id)
);

CREATE TABLE batch (
    id UUID NOT NULL,
    report_id UUID NOT NULL,
    project_id UUID NOT NULL,
    number INTEGER NOT NULL,
    kind varchar NOT NULL,
    environment varchar NOT NULL,
    country varchar NOT NULL,
    methodology varchar NOT NULL,
    vintage INTEGER NOT NULL,
    vintage_start DATE NOT NULL,
    vintage_end DATE NOT NULL,
    size_kg BIGINT NOT NULL,
    buffer_kg BIGINT NOT NULL,
    reserve_kg BIGINT NOT NULL,
    minted_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_batch PRIMARY KEY (id),
    CONSTRAINT fk_batch_report_id_project_id_kind_environment
        FOREIGN KEY (report_id, project_id, kind, environment)
        REFERENCES monitoring_report (id, project_id, kind, environment),
    CONSTRAINT fk_batch_report_id FOREIGN KEY (report_id) REFERENCES verified_period (report_id),
    CONSTRAINT fk_batch_project_id_country
        FOREIGN KEY (project_id, country) REFERENCES project (id, country),
    CONSTRAINT uq_batch_report_id_vintage UNIQUE (report_id, vintage),
    CONSTRAINT uq_batch_project_id_number UNIQUE (project_id, number),
    CONSTRAINT uq_batch_id_kind_environment UNIQUE (id, kind, environment),
    CONSTRAINT ck_batch_mintable
        CHECK (kind = 'issuable' OR (kind = 'demonstration' AND environment = 'sandbox')),
    CONSTRAINT ck_batch_number CHECK (number >= 1),
    CONSTRAINT ck_batch_size_kg CHECK (size_kg > 0),
    CONSTRAINT ck_batch_buffer_kg CHECK (buffer_kg >= 0 AND reserve_kg >= 0),
    CONSTRAINT ck_batch_parts CHECK (buffer_kg + reserve_kg <= size_kg),
    CONSTRAINT ck_batch_vintage
        CHECK (vintage_start <= vintage_end
            AND extract(year FROM vintage_start) = vintage AND extract(year FROM vintage_end) = vintage)
);

CREATE TABLE credit_block (
    id UUID NOT NULL,
    batch_id UUID NOT NULL,
    kind varchar NOT NULL,
    environment varchar NOT NULL,
    serials INT8RANGE NOT NULL,
    account_id UUID NOT NULL,
    state varchar NOT NULL,
    CONSTRAINT pk_credit_block PRIMARY KEY (id),
    CONSTRAINT fk_credit_block_batch_id_kind_environment
        FOREIGN KEY (batch_id, kind, environment) REFERENCES batch (id, kind, environment),
    CONSTRAINT ck_credit_block_state
        CHECK (state IN ('active', 'listed', 'retired', 'cancelled', 'buffer', 'reserve')),
    CONSTRAINT ck_credit_block_serials
        CHECK (coalesce(lower(serials) >= 1 AND upper(serials) > 1, false)),
    CONSTRAINT ex_credit_block_serials EXCLUDE USING gist (batch_id WITH =, serials WITH &&),
    CONSTRAINT fk_credit_block_account_id FOREIGN KEY (account_id) REFERENCES account (id)
);
CREATE INDEX ix_credit_block_account_id ON credit_block (account_id, batch_id);

CREATE TABLE posting (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    transfer_id UUID NOT NULL,
    account_id UUID NOT NULL,
    unit varchar NOT NULL,
    batch_id UUID,
    serials INT8RANGE,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_posting PRIMARY KEY (id),
    CONSTRAINT ck_posting_amount CHECK (amount <> 0),
    CONSTRAINT ck_posting_unit
        CHECK (CASE WHEN batch_id IS NULL THEN unit ~ '^[A-Z]{3}$' ELSE unit = 'kg:' || batch_id::text END),
    CONSTRAINT ck_posting_serials CHECK ((batch_id IS NULL) = (serials IS NULL)),
    CONSTRAINT ck_posting_size
        CHECK (serials IS NULL OR coalesce(abs(amount) = upper(serials) - lower(serials), false)),
    CONSTRAINT fk_posting_transfer_id FOREIGN KEY (transfer_id) REFERENCES transfer (id),
    CONSTRAINT fk_posting_account_id FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT fk_posting_batch_id FOREIGN KEY (batch_id) REFERENCES batch (id)
);
CREATE INDEX ix_posting_account_id ON posting (account_id, unit);
CREATE INDEX ix_posting_serials ON posting USING gist (batch_id, serials);
CREATE INDEX ix_posting_transfer_id ON posting (transfer_id, unit);

CREATE TABLE retirement (
    id UUID NOT NULL,
    transfer_id UUID NOT NULL,
    account_id UUID NOT NULL,
    batch_id UUID NOT NULL,
    kind varchar NOT NULL,
    environment varchar NOT NULL,
    serials INT8MULTIRANGE NOT NULL,
    quantity_kg BIGINT NOT NULL,
    beneficiary varchar NOT NULL,
    purpose varchar NOT NULL,
    country varchar,
    period DATERANGE,
    note varchar,
    at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_retirement PRIMARY KEY (id),
    CONSTRAINT fk_retirement_batch_id_kind_environment
        FOREIGN KEY (batch_id, kind, environment) REFERENCES batch (id, kind, environment),
    CONSTRAINT ck_retirement_quantity_kg CHECK (quantity_kg > 0),
    CONSTRAINT ck_retirement_serials
        CHECK (coalesce(lower(serials) >= 1 AND upper(serials) > 1, false)),
    CONSTRAINT ck_retirement_beneficiary CHECK (beneficiary <> ''),
    CONSTRAINT ck_retirement_country CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT ex_retirement_serials EXCLUDE USING gist (batch_id WITH =, serials WITH &&),
    CONSTRAINT fk_retirement_transfer_id FOREIGN KEY (transfer_id) REFERENCES transfer (id),
    CONSTRAINT fk_retirement_account_id FOREIGN KEY (account_id) REFERENCES account (id)
);
CREATE INDEX ix_retirement_account_id ON retirement (account_id, id);
CREATE INDEX ix_retirement_transfer_id ON retirement (transfer_id);

-- --- blocks tile their batch --------------------------------------------------------------------

CREATE CONSTRAINT TRIGGER stands_on_approval AFTER INSERT ON batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stands_on_approval();

CREATE FUNCTION blocks_tile() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
-- At commit: the blocks of the batch cover [1, size_kg], no more, no less. That they do not
-- overlap is the exclusion constraint's part.
DECLARE
    asked uuid;
    wanted int8multirange;
    found int8multirange;
BEGIN
    IF TG_TABLE_NAME = 'batch' THEN asked := NEW.id;
    ELSIF TG_OP = 'DELETE' THEN asked := OLD.batch_id;
    ELSE asked := NEW.batch_id;
    END IF;
    SELECT int8multirange(int8range(1, size_kg + 1)) INTO wanted FROM batch WHERE id = asked;
    SELECT range_agg(serials) INTO found FROM credit_block WHERE batch_id = asked;
    IF found IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION 'the blocks of batch % cover %, not %', asked, found, wanted
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'credit_block',
                  CONSTRAINT = 'blocks_tile';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER blocks_tile AFTER INSERT ON batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION blocks_tile();
CREATE CONSTRAINT TRIGGER blocks_tile AFTER INSERT OR UPDATE OF serials OR DELETE ON credit_block
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION blocks_tile();

CREATE FUNCTION used_is_used() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF OLD.state IN ('retired', 'cancelled') THEN
        RAISE EXCEPTION 'block % is %: used serials stay as they are', OLD.id, OLD.state
            USING ERRCODE = 'restrict_violation', TABLE = 'credit_block', CONSTRAINT = 'final_state';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER used_is_used BEFORE UPDATE OR DELETE ON credit_block
    FOR EACH ROW EXECUTE FUNCTION used_is_used();

CREATE FUNCTION state_fits_account() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE holder text;
BEGIN
    SELECT CASE kind WHEN 'holding' THEN 'active' ELSE kind END INTO holder
    FROM account WHERE id = NEW.account_id;
    IF holder IS DISTINCT FROM NEW.state THEN
        RAISE EXCEPTION 'a % block cannot lie in an account of % blocks', NEW.state, holder
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'credit_block',
                  CONSTRAINT = 'state_fits_account';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER state_fits_account BEFORE INSERT OR UPDATE OF account_id, state ON credit_block
    FOR EACH ROW EXECUTE FUNCTION state_fits_account();

-- --- transfers sum to zero ----------------------------------------------------------------------

CREATE FUNCTION keep_balance() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
-- The only writer of `balance`; its check refuses an overdraft. Updating first keeps the check
-- from seeing a single negative posting as a balance.
DECLARE holder account;
BEGIN
    SELECT * INTO holder FROM account WHERE id = NEW.account_id;
    IF (holder.kind IN ('cash', 'cash_source')) <> (NEW.batch_id IS NULL) THEN
        RAISE EXCEPTION 'a % account does not hold %', holder.kind, NEW.unit
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'unit_fits_account';
    END IF;
    IF holder.state = 'frozen' THEN
        RAISE EXCEPTION 'account % is frozen', holder.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_open';
    END IF;
    UPDATE balance SET amount = balance.amount + NEW.amount
    WHERE account_id = NEW.account_id AND unit = NEW.unit;
    IF NOT FOUND THEN
        INSERT INTO balance (account_id, unit, amount, may_overdraw)
        VALUES (NEW.account_id, NEW.unit, NEW.amount, holder.kind IN ('issuance', 'cash_source'))
        ON CONFLICT (account_id, unit) DO UPDATE SET amount = balance.amount + EXCLUDED.amount;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_balance AFTER INSERT ON posting
    FOR EACH ROW EXECUTE FUNCTION keep_balance();

CREATE FUNCTION postings_balance() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
-- At commit, for each posting: its transfer was made in this transaction, its unit sums to zero,
-- and the serials that leave are the serials that arrive.
DECLARE
    total numeric;
    gone int8multirange;
    come int8multirange;
BEGIN
    IF NOT EXISTS (SELECT FROM transfer WHERE id = NEW.transfer_id
                   AND xact = pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION 'transfer % is closed: it was made in another transaction', NEW.transfer_id
            USING ERRCODE = 'restrict_violation', TABLE = 'posting', CONSTRAINT = 'transfer_closed';
    END IF;
    SELECT sum(amount), range_agg(serials) FILTER (WHERE amount < 0),
           range_agg(serials) FILTER (WHERE amount > 0)
    INTO total, gone, come
    FROM posting WHERE transfer_id = NEW.transfer_id AND unit = NEW.unit;
    IF total <> 0 OR gone IS DISTINCT FROM come THEN
        RAISE EXCEPTION 'transfer % moves % of %: leaving %, arriving %',
            NEW.transfer_id, total, NEW.unit, gone, come
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'posting',
                  CONSTRAINT = 'postings_balance';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER postings_balance AFTER INSERT ON posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postings_balance();

CREATE FUNCTION transfer_moves() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM posting WHERE transfer_id = NEW.id) THEN
        RAISE EXCEPTION 'transfer % moves nothing', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'transfer',
                  CONSTRAINT = 'transfer_moves';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER transfer_moves AFTER INSERT ON transfer
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION transfer_moves();

-- --- retirements --------------------------------------------------------------------------------

CREATE FUNCTION retirement_is_real() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
-- At commit: the quantity counts the serials, and all of them lie in retired blocks.
DECLARE
    counted bigint;
    retired int8multirange;
BEGIN
    SELECT sum(upper(run) - lower(run)) INTO counted FROM unnest(NEW.serials) AS run;
    SELECT range_agg(serials) INTO retired
    FROM credit_block WHERE batch_id = NEW.batch_id AND state = 'retired';
    IF counted <> NEW.quantity_kg OR retired IS NULL OR NOT retired @> NEW.serials THEN
        RAISE EXCEPTION 'retirement % says % kg of %; retired are %',
            NEW.id, NEW.quantity_kg, NEW.serials, retired
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'retirement',
                  CONSTRAINT = 'retirement_is_real';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER retirement_is_real AFTER INSERT ON retirement
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION retirement_is_real();
