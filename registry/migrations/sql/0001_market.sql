-- Fixed-price listings and purchases.

CREATE TABLE listing (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    batch_id UUID NOT NULL,
    kind varchar NOT NULL,
    environment varchar NOT NULL,
    quantity_kg BIGINT NOT NULL,
    remaining_kg BIGINT NOT NULL,
    price_minor_per_t BIGINT NOT NULL,
    currency varchar NOT NULL,
    state varchar NOT NULL,
    expires_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    closed_at timestamptz,
    CONSTRAINT pk_listing PRIMARY KEY (id),
    CONSTRAINT fk_listing_batch_id_kind_environment
        FOREIGN KEY (batch_id, kind, environment) REFERENCES batch (id, kind, environment),
    CONSTRAINT uq_listing_id_batch_id_currency UNIQUE (id, batch_id, currency),
    CONSTRAINT ck_listing_quantity_kg CHECK (quantity_kg > 0),
    CONSTRAINT ck_listing_remaining_kg CHECK (remaining_kg BETWEEN 0 AND quantity_kg),
    CONSTRAINT ck_listing_sold CHECK (state <> 'sold' OR remaining_kg = 0),
    CONSTRAINT ck_listing_price_minor_per_t CHECK (price_minor_per_t > 0),
    CONSTRAINT ck_listing_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ck_listing_state CHECK (state IN ('open', 'sold', 'withdrawn')),
    CONSTRAINT fk_listing_account_id FOREIGN KEY (account_id) REFERENCES account (id)
);
CREATE INDEX ix_listing_account_id ON listing (account_id);
CREATE INDEX ix_listing_open ON listing (state, id);

CREATE TABLE purchase (
    id UUID NOT NULL,
    listing_id UUID NOT NULL,
    account_id UUID NOT NULL,
    transfer_id UUID NOT NULL,
    batch_id UUID NOT NULL,
    quantity_kg BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency varchar NOT NULL,
    at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_purchase PRIMARY KEY (id),
    CONSTRAINT fk_purchase_listing_id_batch_id_currency
        FOREIGN KEY (listing_id, batch_id, currency) REFERENCES listing (id, batch_id, currency),
    CONSTRAINT uq_purchase_transfer_id UNIQUE (transfer_id),
    CONSTRAINT ck_purchase_quantity_kg CHECK (quantity_kg > 0),
    CONSTRAINT ck_purchase_amount_minor CHECK (amount_minor > 0),
    CONSTRAINT fk_purchase_account_id FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT fk_purchase_transfer_id FOREIGN KEY (transfer_id) REFERENCES transfer (id)
);
CREATE INDEX ix_purchase_account_id ON purchase (account_id, id);
CREATE INDEX ix_purchase_listing_id ON purchase (listing_id);
