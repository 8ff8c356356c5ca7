"""Batches, blocks, transfers, postings, balances, retirements; imports base.

One serial is one kilogram CO2e. Blocks and balances are the present (updated, guarded); transfers,
postings and retirements are the history (frozen). Kind and environment come down from the report
by composite foreign keys, so nothing indicative can ever be here.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import (
    INT8MULTIRANGE,
    INT8RANGE,
    ExcludeConstraint,
    Range,
)
from sqlmodel import Field, SQLModel

from registry.domain.ids import new_id
from registry.tables.base import (
    Days,
    check,
    created,
    days_column,
    one_of,
    same,
    writing_transaction,
)

MINTABLE = "kind = 'issuable' OR (kind = 'demonstration' AND environment = 'sandbox')"
CURRENCY = "~ '^[A-Z]{3}$'"


class Batch(SQLModel, table=True):
    """The credits of one report and one calendar-year vintage: serials 1 to `size_kg`."""

    __tablename__ = "batch"
    __table_args__ = (
        same(
            "report_id project_id kind environment",
            "monitoring_report.id project_id kind environment",
        ),
        same("report_id", "verified_period.report_id"),
        same("project_id country", "project.id country"),
        UniqueConstraint("report_id", "vintage"),
        UniqueConstraint("project_id", "number"),
        UniqueConstraint("id", "kind", "environment"),
        check("mintable", MINTABLE),
        check("number", "number >= 1"),
        check("size_kg", "size_kg > 0"),
        check("buffer_kg", "buffer_kg >= 0 AND reserve_kg >= 0"),
        check("parts", "buffer_kg + reserve_kg <= size_kg"),
        check(
            "vintage",
            "vintage_start <= vintage_end AND extract(year FROM vintage_start) = vintage"
            " AND extract(year FROM vintage_end) = vintage",
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    report_id: UUID
    project_id: UUID
    number: int
    """Counts the project's batches from 1; part of the serial."""
    kind: str
    environment: str
    country: str
    methodology: str
    vintage: int
    """Calendar year."""
    vintage_start: date
    vintage_end: date
    """Last day, inside."""
    size_kg: int = Field(sa_type=BigInteger)
    buffer_kg: int = Field(sa_type=BigInteger)
    """Held by the buffer pool: the last serials."""
    reserve_kg: int = Field(default=0, sa_type=BigInteger)
    minted_at: datetime = created()


class CreditBlock(SQLModel, table=True):
    """A run of serials of one batch with one holder and one state; blocks tile their batch."""

    __tablename__ = "credit_block"
    __table_args__ = (
        same("batch_id kind environment", "batch.id kind environment"),
        one_of("state", "active", "listed", "retired", "cancelled", "buffer", "reserve"),
        check("serials", "coalesce(lower(serials) >= 1 AND upper(serials) > 1, false)"),
        ExcludeConstraint(
            ("batch_id", "="), ("serials", "&&"), name="ex_credit_block_serials", using="gist"
        ),
        Index("ix_credit_block_account_id", "account_id", "batch_id"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    batch_id: UUID
    kind: str
    environment: str
    serials: Range[int] = Field(sa_column=Column(INT8RANGE, nullable=False))
    """Upper bound outside: [1, 1001) is one tonne."""
    account_id: UUID = Field(foreign_key="account.id")
    """Holder; its kind must fit the state (trigger)."""
    state: str


class Transfer(SQLModel, table=True):
    """One movement in the ledger; its postings sum to zero in every unit (deferred trigger)."""

    __tablename__ = "transfer"
    __table_args__ = (
        one_of(
            "code", "mint", "transfer", "list", "withdraw", "purchase",
            "retire", "cancel", "deposit", "correct",
        ),
        Index("ix_transfer_corrects_id", "corrects_id"),
    )  # fmt: skip

    id: UUID = Field(default_factory=new_id, primary_key=True)
    code: str
    actor: str
    """`Actor.tag`."""
    corrects_id: UUID | None = Field(default=None, foreign_key="transfer.id")
    """The transfer that this one puts right."""
    at: datetime = created()
    xact: int | None = writing_transaction()
    """Set by the database: the transaction; postings can only be added in the same one."""


class Posting(SQLModel, table=True):
    """A signed amount on one account: kilograms of one batch, or money in minor units."""

    __tablename__ = "posting"
    __table_args__ = (
        check("amount", "amount <> 0"),
        check(
            "unit",
            f"CASE WHEN batch_id IS NULL THEN unit {CURRENCY}"
            " ELSE unit = 'kg:' || batch_id::text END",
        ),
        check("serials", "(batch_id IS NULL) = (serials IS NULL)"),
        check(
            "size",
            "serials IS NULL OR coalesce(abs(amount) = upper(serials) - lower(serials), false)",
        ),
        Index("ix_posting_transfer_id", "transfer_id", "unit"),
        Index("ix_posting_account_id", "account_id", "unit"),
        Index("ix_posting_serials", "batch_id", "serials", postgresql_using="gist"),
    )

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    transfer_id: UUID = Field(foreign_key="transfer.id")
    account_id: UUID = Field(foreign_key="account.id")
    unit: str
    """`kg:<batch id>` or an ISO 4217 code."""
    batch_id: UUID | None = Field(default=None, foreign_key="batch.id")
    serials: Range[int] | None = Field(default=None, sa_column=Column(INT8RANGE))
    """Which kilograms moved; none for money."""
    amount: int = Field(sa_type=BigInteger)
    """Kilograms or minor units, never 0."""


class Balance(SQLModel, table=True):
    """Sum of an account's postings in one unit, kept by a trigger; nobody else may write it."""

    __tablename__ = "balance"
    __table_args__ = (check("not_overdrawn", "amount >= 0 OR may_overdraw"),)

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    unit: str = Field(primary_key=True)
    amount: int = Field(sa_type=BigInteger)
    may_overdraw: bool
    """True for `issuance` and `cash_source`, where credits and money come from."""


class Retirement(SQLModel, table=True):
    """The final use of serials of one batch by a named beneficiary; frozen."""

    __tablename__ = "retirement"
    __table_args__ = (
        same("batch_id kind environment", "batch.id kind environment"),
        check("quantity_kg", "quantity_kg > 0"),
        check("serials", "coalesce(lower(serials) >= 1 AND upper(serials) > 1, false)"),
        check("beneficiary", "beneficiary <> ''"),
        check("country", "country ~ '^[A-Z]{2}$'"),
        ExcludeConstraint(
            ("batch_id", "="), ("serials", "&&"), name="ex_retirement_serials", using="gist"
        ),
        Index("ix_retirement_account_id", "account_id", "id"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    transfer_id: UUID = Field(foreign_key="transfer.id", index=True)
    account_id: UUID = Field(foreign_key="account.id")
    """The holding account that the credits left."""
    batch_id: UUID
    kind: str
    environment: str
    serials: Any = Field(sa_column=Column(INT8MULTIRANGE, nullable=False))
    """One or more runs of serials, `list[Range[int]]`, upper bounds outside."""
    quantity_kg: int = Field(sa_type=BigInteger)
    """Number of serials (held to them by a trigger)."""
    beneficiary: str
    purpose: str
    country: str | None = None
    """Of the beneficiary, ISO 3166-1 alpha-2."""
    period: Days | None = days_column(nullable=True)
    """What the retirement is for, such as a business year."""
    note: str | None = None
    at: datetime = created()
