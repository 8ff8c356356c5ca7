"""Organisations, people, how they are recognised, and their accounts in the ledger.

Imports audit, commands, tables, settings. Order: values, admission, keys, recognition, lookup.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

import jwt
from pwdlib import PasswordHash
from sqlalchemy import select
from sqlmodel import col

from registry.db import translating
from registry.domain.roles import Action, Actor, Role
from registry.errors import AlreadyExists, InvalidValue, KeyRefused, NotFound, SignInRefused
from registry.private_files import secret_of
from registry.services import audit, commands
from registry.tables.accounts import Account, ApiKey, AppUser, Organisation
from registry.tables.base import now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.settings import Settings

KEY_MARK = "amk_"
"""How every API key begins, so that a leaked one can be recognised."""

TOKEN_ALGORITHM = "HS256"  # noqa: S105 - a name, not a secret
TOKEN_AUDIENCE = "amanar/v1"  # noqa: S105 - a name, not a secret
SHORTEST_PASSWORD = 12
"""Characters; NIST SP 800-63B-4, 3.1.1.2 asks for 15 alone and 8 with a second factor."""

OWN_KINDS = ("holding", "listed", "cash")


@dataclass(frozen=True)
class NewPerson:
    """What is needed to admit a person."""

    organisation_id: UUID
    email: str
    name: str
    roles: frozenset[Role]
    password: str | None = None
    """None: signs in with keys only."""


@dataclass(frozen=True)
class IssuedKey:
    """A key just made."""

    key_id: UUID
    key: str | None
    """Shown this once; None when the command is repeated, for it is not kept."""


# --- admission ----------------------------------------------------------------------------------


def create_organisation(
    session: Session, *, actor: Actor, command_id: UUID, name: str, country: str
) -> Organisation:
    """Admit an organisation and open its accounts (holding, listed, cash).

    Operators and the system only. Writes organisation, account, audit_event. Safe to repeat with
    the same id.

    Raises
    ------
    InvalidValue, AlreadyExists, NotAllowed, CommandConflict
    """
    actor.require(Action.ADMIT)
    _require_country(country)
    if not name.strip():
        raise InvalidValue(what="name", problem="it is empty", fix="Give the organisation's name.")

    def do() -> commands.Result:
        made = Organisation(name=name.strip(), country=country)
        taken = AlreadyExists(what="organisation", key=made.name)
        with translating(session, {"uq_organisation_name": taken}):
            session.add(made)
        session.add_all(Account(organisation_id=made.id, kind=kind) for kind in OWN_KINDS)
        audit.record(
            session,
            actor=actor,
            action="accounts:organisation:create",
            subject=f"organisation:{made.id}",
            content={"name": made.name, "country": country},
        )
        return {"organisation_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="accounts.create_organisation",
        content={"name": name, "country": country},
        do=do,
    )
    return session.get_one(Organisation, UUID(result["organisation_id"]))


def create_user(session: Session, *, actor: Actor, command_id: UUID, person: NewPerson) -> AppUser:
    """Admit a person of an organisation.

    Operators and the system only. Writes app_user, audit_event (without name and e-mail). Safe
    to repeat with the same id; the password is no part of what is compared.

    Raises
    ------
    NotFound
        If there is no such organisation.
    InvalidValue, AlreadyExists, NotAllowed, CommandConflict
    """
    actor.require(Action.ADMIT)
    email = person.email.strip().lower()
    _require_person(person, email)

    def do() -> commands.Result:
        if session.get(Organisation, person.organisation_id) is None:
            raise NotFound(what="organisation", key=person.organisation_id)
        made = AppUser(
            organisation_id=person.organisation_id,
            email=email,
            name=person.name.strip(),
            roles=sorted(person.roles),
            password_hash=None if person.password is None else _hasher().hash(person.password),
        )
        with translating(session, {"uq_app_user_email": AlreadyExists(what="person", key=email)}):
            session.add(made)
        audit.record(
            session,
            actor=actor,
            action="accounts:user:create",
            subject=f"app_user:{made.id}",
            content={
                "organisation": str(person.organisation_id),
                "roles": sorted(person.roles),
            },
        )
        return {"user_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="accounts.create_user",
        content={
            "organisation_id": person.organisation_id,
            "email": email,
            "name": person.name,
            "roles": sorted(person.roles),
        },
        do=do,
    )
    return session.get_one(AppUser, UUID(result["user_id"]))


def disable_user(session: Session, *, actor: Actor, user_id: UUID) -> AppUser:
    """Shut a person out; keys and tokens stop working at once.

    Operators and the system only. Writes app_user, audit_event. Safe to repeat.

    Raises
    ------
    NotFound, NotAllowed
    """
    actor.require(Action.ADMIT)
    user = session.get(AppUser, user_id, with_for_update=True)
    if user is None:
        raise NotFound(what="person", key=user_id)
    if user.disabled_at is None:
        user.disabled_at = now()
        audit.record(
            session,
            actor=actor,
            action="accounts:user:disable",
            subject=f"app_user:{user_id}",
            content={},
        )
    return user


# --- keys ---------------------------------------------------------------------------------------


def issue_api_key(
    session: Session,
    *,
    actor: Actor,
    command_id: UUID,
    label: str,
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Make a key for the actor's own programs; it acts with the actor's roles.

    Any person. Writes api_key (only the hash of the secret), audit_event. Repeated with the same
    id it gives the same key's id, but not the key again.

    Raises
    ------
    NotAllowed, CommandConflict
    """
    actor.require(Action.ISSUE_KEY)
    user_id = actor.person()
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    fresh: list[str] = []

    def do() -> commands.Result:
        made = ApiKey(
            user_id=user_id,
            label=label,
            prefix=prefix,
            secret_sha256=_hash(secret),
            expires_at=expires_at,
        )
        session.add(made)
        audit.record(
            session,
            actor=actor,
            action="accounts:key:issue",
            subject=f"api_key:{made.id}",
            content={"prefix": prefix, "expires_at": expires_at and expires_at.isoformat()},
        )
        fresh.append(f"{KEY_MARK}{prefix}_{secret}")
        return {"key_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="accounts.issue_api_key",
        content={"label": label, "expires_at": expires_at},
        do=do,
    )
    return IssuedKey(key_id=UUID(result["key_id"]), key=fresh[0] if fresh else None)


def revoke_api_key(session: Session, *, actor: Actor, key_id: UUID) -> ApiKey:
    """End a key of the actor's own; operators may end anyone's. Safe to repeat.

    Writes api_key, audit_event.

    Raises
    ------
    NotFound
        Also for another person's key: who may not end it need not know of it.
    """
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None or (key.user_id != actor.user_id and Role.OPERATOR not in actor.roles):
        raise NotFound(what="key", key=key_id)
    if key.revoked_at is None:
        key.revoked_at = now()
        audit.record(
            session,
            actor=actor,
            action="accounts:key:revoke",
            subject=f"api_key:{key_id}",
            content={"prefix": key.prefix},
        )
    return key


# --- recognition --------------------------------------------------------------------------------


def sign_in(session: Session, *, email: str, password: str) -> Actor:
    """Recognise a person by e-mail and password; takes as long for an unknown one.

    Writes nothing.

    Raises
    ------
    SignInRefused
        Whatever was wrong; the answer does not say what.
    """
    wanted = select(AppUser).where(col(AppUser.email) == email.strip().lower())
    user = session.scalars(wanted).one_or_none()
    known = user.password_hash if user is not None and user.password_hash else _nobody()
    fits = _hasher().verify(password, known)
    if user is None or not user.password_hash or not fits or user.disabled_at is not None:
        raise SignInRefused
    return _actor(user)


def issue_token(actor: Actor, *, settings: Settings) -> tuple[str, datetime]:
    """Give a bearer token (HS256) for a person who signed in, and when it ends."""
    ends_at = now() + timedelta(minutes=settings.token_minutes)
    claims = {
        "sub": str(actor.user_id),
        "aud": TOKEN_AUDIENCE,
        "iss": settings.log_origin,
        "iat": now(),
        "exp": ends_at,
    }
    secret = secret_of(settings)
    return jwt.encode(claims, secret, algorithm=TOKEN_ALGORITHM), ends_at


def authenticate(session: Session, *, credential: str, settings: Settings) -> Actor:
    """Recognise a bearer credential, an API key or a token.

    Raises
    ------
    KeyRefused
    """
    if is_api_key(credential):
        return authenticate_key(session, key=credential)
    return authenticate_token(session, token=credential, settings=settings)


def authenticate_token(session: Session, *, token: str, settings: Settings) -> Actor:
    """Recognise a token; roles are read anew, so a change counts at once.

    Raises
    ------
    KeyRefused
        If it is forged, expired, of another registry, or its person is gone or disabled.
    """
    try:
        claims = jwt.decode(
            token,
            secret_of(settings),
            algorithms=[TOKEN_ALGORITHM],
            audience=TOKEN_AUDIENCE,
            issuer=settings.log_origin,
            options={"require": ["sub", "exp", "aud", "iss"]},
        )
        user_id = UUID(claims["sub"])
    except (jwt.PyJWTError, ValueError) as fault:
        raise KeyRefused from fault
    return actor_of_user(session, user_id=user_id)


def is_api_key(credential: str) -> bool:
    """Tell an API key from a token by its look."""
    return credential.startswith(KEY_MARK)


def authenticate_key(session: Session, *, key: str) -> Actor:
    """Recognise a program by its key.

    Raises
    ------
    KeyRefused
        If it is unknown, revoked or expired, or its person is disabled.
    """
    prefix, _, secret = key.removeprefix(KEY_MARK).partition("_")
    found = session.scalars(select(ApiKey).where(col(ApiKey.prefix) == prefix)).one_or_none()
    if (
        found is None
        or not hmac.compare_digest(found.secret_sha256, _hash(secret))
        or found.revoked_at is not None
        or (found.expires_at is not None and found.expires_at <= now())
    ):
        raise KeyRefused
    return actor_of_user(session, user_id=found.user_id)


def actor_of_user(session: Session, user_id: UUID) -> Actor:
    """Give the actor that a person is now.

    Raises
    ------
    KeyRefused
        If the person is unknown or disabled.
    """
    user = session.get(AppUser, user_id)
    if user is None or user.disabled_at is not None:
        raise KeyRefused
    return _actor(user)


# --- lookup -------------------------------------------------------------------------------------


def account_of(session: Session, *, organisation_id: UUID, kind: str) -> Account:
    """Give an organisation's account of one kind: holding, listed or cash.

    Raises
    ------
    NotFound
    """
    wanted = select(Account).where(
        col(Account.organisation_id) == organisation_id, col(Account.kind) == kind
    )
    found = session.scalars(wanted).one_or_none()
    if found is None:
        raise NotFound(what=f"{kind} account of organisation", key=organisation_id)
    return found


def pool(session: Session, kind: str) -> Account:
    """Give a pool account of the registry: issuance, buffer, reserve, retired and so on.

    Raises
    ------
    NotFound
    """
    wanted = select(Account).where(
        col(Account.organisation_id).is_(None), col(Account.kind) == kind
    )
    found = session.scalars(wanted).one_or_none()
    if found is None:
        raise NotFound(what="pool account", key=kind)
    return found


def _actor(user: AppUser) -> Actor:
    return Actor(
        user_id=user.id,
        organisation_id=user.organisation_id,
        roles=frozenset(Role(name) for name in user.roles),
        name=user.name,
    )


@lru_cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@lru_cache
def _nobody() -> str:
    """Give a hash that no password fits, to spend the same time on unknown people."""
    return _hasher().hash(secrets.token_urlsafe(32))


def _hash(secret: str) -> str:
    """Hash a key's secret; 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _require_country(country: str) -> None:
    if not re.fullmatch("[A-Z]{2}", country):
        problem = f"{country!r} is no ISO 3166-1 alpha-2 code"
        raise InvalidValue(what="country", problem=problem, fix="Two capital letters, such as RO.")


def _require_person(person: NewPerson, email: str) -> None:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise InvalidValue(
            what="email", problem=f"{person.email!r} is no address", fix="Write name@host."
        )
    if not person.roles:
        raise InvalidValue(what="roles", problem="there is none", fix="Give at least one role.")
    if person.password is not None and len(person.password) < SHORTEST_PASSWORD:
        raise InvalidValue(
            what="password",
            problem=f"it has {len(person.password)} characters",
            fix=f"Choose at least {SHORTEST_PASSWORD}.",
        )
