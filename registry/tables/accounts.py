"""Organisations, people, keys, accounts, notifications, remembered commands; imports base."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from registry.domain.ids import new_id
from registry.tables.base import HEX_SHA256, check, created, json_column, moment, one_of

ROLE_NAMES = "ARRAY['developer', 'verifier', 'buyer', 'operator']"
OWN_ACCOUNTS = "'holding', 'listed', 'cash'"
"""Kinds of account that an organisation has; all others are pools of the registry."""


class Organisation(SQLModel, table=True):
    """A legal person that takes part."""

    __tablename__ = "organisation"
    __table_args__ = (check("country", "country ~ '^[A-Z]{2}$'"), check("name", "name <> ''"))

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(unique=True)
    country: str
    """ISO 3166-1 alpha-2."""
    created_at: datetime = created()


class AppUser(SQLModel, table=True):
    """A person of one organisation; the only row that holds a person's name."""

    __tablename__ = "app_user"
    __table_args__ = (
        check("email", "email = lower(email) AND email LIKE '%_@_%'"),
        check("roles", f"cardinality(roles) > 0 AND roles <@ {ROLE_NAMES}"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    email: str = Field(unique=True)
    """Lower case."""
    name: str
    roles: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """Values of `registry.domain.roles.Role`."""
    password_hash: str | None = None
    """argon2id; none means that this person signs in with keys only."""
    disabled_at: datetime | None = moment()
    created_at: datetime = created()


class ApiKey(SQLModel, table=True):
    """A key for programs, `<prefix>.<secret>`; the secret itself is never stored."""

    __tablename__ = "api_key"
    __table_args__ = (check("secret_sha256", f"secret_sha256 {HEX_SHA256}"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    user_id: UUID = Field(foreign_key="app_user.id", index=True)
    label: str
    prefix: str = Field(unique=True)
    secret_sha256: str
    created_at: datetime = created()
    expires_at: datetime | None = moment()
    revoked_at: datetime | None = moment()


class Account(SQLModel, table=True):
    """A place in the ledger: of an organisation, or a pool of the registry."""

    __tablename__ = "account"
    __table_args__ = (
        one_of(
            "kind", "holding", "listed", "cash",
            "issuance", "buffer", "reserve", "retired", "cancelled", "cash_source",
        ),
        one_of("state", "open", "frozen"),
        check("owner", f"(kind IN ({OWN_ACCOUNTS})) = (organisation_id IS NOT NULL)"),
        Index("uq_account_own", "organisation_id", "kind", unique=True),
        Index(
            "uq_account_pool", "kind", unique=True, postgresql_where=text("organisation_id IS NULL")
        ),
    )  # fmt: skip

    id: UUID = Field(default_factory=new_id, primary_key=True)
    organisation_id: UUID | None = Field(default=None, foreign_key="organisation.id")
    """None for a pool."""
    kind: str
    state: str = "open"
    created_at: datetime = created()


class Notification(SQLModel, table=True):
    """A message to an organisation, written with the change that it tells of."""

    __tablename__ = "notification"
    __table_args__ = (Index("ix_notification_inbox", "organisation_id", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    organisation_id: UUID = Field(foreign_key="organisation.id")
    kind: str
    """Like an audit action, `monitoring:report:submit`."""
    subject: str
    """What it is about, `monitoring_report:<id>`."""
    message: str
    created_at: datetime = created()
    read_at: datetime | None = moment()


class Command(SQLModel, table=True):
    """What a client's command made: the same id again gives the same answer."""

    __tablename__ = "command"
    __table_args__ = (check("content_sha256", f"content_sha256 {HEX_SHA256}"),)

    id: UUID = Field(primary_key=True)
    """Sent by the client, UUIDv7 advised."""
    actor: str
    """`Actor.tag` of whoever sent it."""
    action: str
    content_sha256: str
    """Of the canonical JSON of the arguments."""
    result: Any = json_column()
    """Identifiers of what was made."""
    at: datetime = created()
