"""Accounts on the wire. Imports wire, tables and roles."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.wire import Answer, Body, CountryCode, Line
from registry.domain.roles import Actor, Role
from registry.tables.accounts import ApiKey, AppUser, Organisation

Email = Annotated[
    Line, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$", examples=["mira@example.org"])
]
Password = Annotated[str, Field(min_length=1, max_length=200)]
NewPassword = Annotated[str, Field(min_length=12, max_length=200)]


class SignInBody(Body):
    """Who signs in."""

    email: Email
    password: Password

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"email": "mira@example.org", "password": "a long sentence of yours"}]
        },
    )


class TokenAnswer(Answer):
    """A bearer token: send it as `Authorization: Bearer TOKEN`."""

    token: str
    token_type: str = "bearer"  # noqa: S105 - the name of the scheme (RFC 6750)
    expires_at: datetime


class OrganisationBody(Body):
    """An organisation to admit."""

    name: Line
    country: CountryCode

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Beech Forest Carbon", "country": "RO"}]},
    )


class OrganisationAnswer(Answer):
    """An organisation."""

    id: UUID
    name: str
    country: str
    created_at: datetime

    @classmethod
    def of(cls, row: Organisation, environment: str) -> Self:
        """Give the wire form."""
        return cls.model_validate({**row.model_dump(), "environment": environment})


class UserBody(Body):
    """A person to admit. Without a password the person acts by API key only."""

    organisation_id: UUID
    email: Email
    name: Line
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
    password: NewPassword | None = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "organisation_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "email": "mira@example.org",
                    "name": "Mira",
                    "roles": ["developer"],
                    "password": "a long sentence of yours",
                }
            ]
        },
    )


class UserAnswer(Answer):
    """A person, as operators and the person see it."""

    id: UUID
    organisation_id: UUID
    email: str
    name: str
    roles: list[Role]
    created_at: datetime

    @classmethod
    def of(cls, row: AppUser, environment: str) -> Self:
        """Give the wire form, without the password's hash."""
        return cls.model_validate(
            {**row.model_dump(exclude={"password_hash"}), "environment": environment}
        )


class MeAnswer(Answer):
    """Who you are here."""

    user_id: UUID | None
    organisation_id: UUID | None
    name: str
    roles: list[Role]

    @classmethod
    def of(cls, actor: Actor, environment: str) -> Self:
        """Give the wire form."""
        return cls.model_validate(
            {
                "environment": environment,
                "user_id": actor.user_id,
                "organisation_id": actor.organisation_id,
                "name": actor.name,
                "roles": sorted(actor.roles),
            }
        )


class KeyBody(Body):
    """A key to make for yourself."""

    label: Line

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"label": "nightly export"}]}
    )


class Key(BaseModel):
    """A key without its secret."""

    id: UUID
    label: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Give the wire form."""
        return cls.model_validate(row.model_dump())


class NewKeyAnswer(Answer):
    """The key itself: shown this once, kept nowhere; null when the command is repeated."""

    id: UUID
    label: str
    key: str | None


class KeysAnswer(Answer):
    """Your keys."""

    items: list[Key]
