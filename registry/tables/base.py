"""What the tables share: names of constraints, column kinds, the environment; imports domain.

Order: the metadata's naming rule, column types, small builders of constraints, Environment.
The constraints are stated twice on purpose: here for the reader and the ORM, in migrations for
the database; a test holds the two together. Triggers and grants stand in migrations alone.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    SmallInteger,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import DATERANGE, JSONB, Range
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Days = Range[Any]
"""A span of dates as the database holds it: lower bound inside, upper bound outside."""

TIMESTAMP = DateTime(timezone=True)

XACT = text("pg_current_xact_id()::text::bigint")
"""Default of the columns that hold the writing transaction; see `registry.services.audit`."""

HEX_SHA256 = "~ '^[0-9a-f]{64}$'"


def now() -> datetime:
    """Give the present in UTC, to the microsecond as the database keeps it."""
    return datetime.now(UTC)


def created() -> Any:
    """Make a column that holds when the row was made."""
    return Field(
        default_factory=now, sa_type=TIMESTAMP, sa_column_kwargs={"server_default": func.now()}
    )


def moment() -> Any:
    """Make a column that holds a time or nothing."""
    return Field(default=None, sa_type=TIMESTAMP)


def json_column(*, nullable: bool = False) -> Any:
    """Make a JSONB column."""
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=nullable))


def days_column(*, nullable: bool = False) -> Any:
    """Make a daterange column; give it a `Range` of dates."""
    return Field(default=None, sa_column=Column(DATERANGE, nullable=nullable))


def writing_transaction() -> Any:
    """Make a column that the database fills with the transaction that writes the row."""
    return Field(
        default=None, sa_type=BigInteger, nullable=False, sa_column_kwargs={"server_default": XACT}
    )


def one_of(column: str, *names: str) -> CheckConstraint:
    """Make a check that the column holds one of these words."""
    listed = ", ".join(f"'{name}'" for name in names)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def check(name: str, rule: str) -> CheckConstraint:
    """Make a named check."""
    return CheckConstraint(rule, name=name)


def same(columns: str, target: str) -> ForeignKeyConstraint:
    """Make a foreign key over several columns: `same("a b", "table.x y")`."""
    table, _, names = target.partition(".")
    own = columns.split()
    return ForeignKeyConstraint(own, [f"{table}.{name}" for name in names.split()])


class Environment(SQLModel, table=True):
    """What this database was born as; one row, never changed.

    Whatever carries a quantity points here, so nothing can claim another environment.
    """

    __tablename__ = "environment"
    __table_args__ = (
        one_of("kind", "sandbox", "production"),
        check("single", "id = 1"),
    )

    id: int = Field(default=1, primary_key=True, sa_type=SmallInteger)
    """Always 1, so that there is one row."""
    kind: str = Field(unique=True)
    """`sandbox` or `production`."""
    born_at: datetime = created()
