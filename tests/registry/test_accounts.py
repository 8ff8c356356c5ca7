"""Who is admitted, how they are recognised, and what stops working when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import jwt
import pytest
from sqlmodel import col, select

from registry.db import session_scope
from registry.domain.ids import new_id
from registry.domain.roles import Role, system_actor
from registry.errors import (
    AlreadyExists,
    InvalidValue,
    KeyRefused,
    NotAllowed,
    NotFound,
    SignInRefused,
)
from registry.private_files import secret_of
from registry.services import accounts, notifications
from registry.tables.accounts import Account, ApiKey, AppUser, Command, Notification
from registry.tables.audit import AuditEvent
from registry.tables.base import now
from tests.world import SETUP, World

if TYPE_CHECKING:
    from sqlmodel import Session

    from registry.domain.roles import Actor
    from registry.settings import Settings

PASSWORD = "correct horse battery staple"


@pytest.fixture
def person(world: World) -> Actor:
    return world.person(Role.BUYER, password=PASSWORD)


def email_of(session: Session, actor: Actor) -> str:
    return session.get_one(AppUser, actor.user_id).email


# --- admission ----------------------------------------------------------------------------------


def test_an_organisation_gets_its_three_accounts(world: World, session: Session) -> None:
    organisation_id = world.organisation()
    found = session.exec(select(Account).where(col(Account.organisation_id) == organisation_id))
    assert {account.kind for account in found} == {"holding", "listed", "cash"}


def test_a_name_is_given_once(world: World) -> None:
    world.organisation("Brad Carbon")
    with pytest.raises(AlreadyExists, match="organisation Brad Carbon exists already"):
        world.organisation("Brad Carbon")


@pytest.mark.parametrize(("name", "country"), [(" ", "RO"), ("Name", "ro"), ("Name", "ROU")])
def test_a_malformed_organisation_is_refused(world: World, name: str, country: str) -> None:
    with pytest.raises(InvalidValue):
        world.organisation(name, country=country)


def test_an_operator_admits(world: World, session: Session) -> None:
    accounts.create_organisation(
        session, actor=world.operator(), command_id=new_id(), name="New", country="RO"
    )


def test_nobody_else_admits(world: World, session: Session) -> None:
    with pytest.raises(NotAllowed, match="needs the role operator"):
        accounts.create_organisation(
            session, actor=world.developer(), command_id=new_id(), name="New", country="RO"
        )


def admit(session: Session, world: World, **fields: object) -> AppUser:
    chosen = {
        "organisation_id": world.organisation(),
        "email": "Ana@Registry.Example ",
        "name": "Ana",
        "roles": frozenset({Role.BUYER}),
        "password": None,
    }
    person = accounts.NewPerson(**(chosen | fields))  # type: ignore[arg-type]
    return accounts.create_user(session, actor=SETUP, command_id=new_id(), person=person)


def test_an_address_is_kept_in_lower_case_and_given_once(world: World, session: Session) -> None:
    assert admit(session, world).email == "ana@registry.example"
    with pytest.raises(AlreadyExists, match=r"person ana@registry\.example"):
        admit(session, world, email="ANA@registry.example")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"email": "nobody"}, "email"),
        ({"roles": frozenset()}, "roles"),
        ({"password": "short"}, "password"),
    ],
)
def test_a_malformed_person_is_refused(
    world: World, session: Session, fields: dict[str, object], what: str
) -> None:
    with pytest.raises(InvalidValue, match=what):
        admit(session, world, **fields)


def test_a_person_needs_an_organisation(world: World, session: Session) -> None:
    with pytest.raises(NotFound, match="organisation"):
        admit(session, world, organisation_id=new_id())


def test_the_log_and_the_commands_know_no_name_address_or_password(
    world: World, session: Session
) -> None:
    admit(session, world, password=PASSWORD)
    events = session.exec(select(AuditEvent)).all()
    commands = session.exec(select(Command)).all()
    written = repr([event.content for event in events]) + repr(
        [(command.result, command.content_sha256) for command in commands]
    )
    for secret in ("Ana", "ana@", PASSWORD):
        assert secret not in written


# --- sign-in ------------------------------------------------------------------------------------


def test_a_person_signs_in_with_the_right_password(session: Session, person: Actor) -> None:
    email = email_of(session, person)
    assert accounts.sign_in(session, email=email.upper(), password=PASSWORD) == person


@pytest.mark.parametrize("wrong", ["password", "email", "nothing", "disabled"])
def test_a_refused_sign_in_does_not_say_why(
    world: World, session: Session, person: Actor, wrong: str
) -> None:
    email, password = email_of(session, person), PASSWORD
    if wrong == "password":
        password = PASSWORD.upper()
    elif wrong == "email":
        email = "nobody@registry.example"
    elif wrong == "nothing":
        email = email_of(session, world.buyer())
    else:
        accounts.disable_user(session, actor=SETUP, user_id=person.person())
    with pytest.raises(
        SignInRefused, match="No account with this e-mail and password, or it is disabled"
    ):
        accounts.sign_in(session, email=email, password=password)


def test_passwords_are_argon2id(session: Session, person: Actor) -> None:
    stored = session.get_one(AppUser, person.user_id).password_hash
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


# --- tokens -------------------------------------------------------------------------------------


def test_a_token_names_the_person_and_ends(
    session: Session, settings: Settings, person: Actor
) -> None:
    token, ends_at = accounts.issue_token(person, settings=settings)
    assert accounts.authenticate(session, credential=token, settings=settings) == person
    assert now() < ends_at <= now() + timedelta(minutes=settings.token_minutes)


def test_roles_are_read_anew(session: Session, settings: Settings, person: Actor) -> None:
    token, _ = accounts.issue_token(person, settings=settings)
    session.get_one(AppUser, person.user_id).roles = ["verifier"]
    again = accounts.authenticate(session, credential=token, settings=settings)
    assert again.roles == {Role.VERIFIER}
    session.rollback()


def forged(settings: Settings, person: Actor, **claims: object) -> str:
    chosen = {
        "sub": str(person.user_id),
        "aud": "amanar/v1",
        "iss": settings.log_origin,
        "exp": now() + timedelta(minutes=1),
    }
    secret = secret_of(settings)
    return jwt.encode(chosen | claims, secret, algorithm="HS256")


def test_the_forger_of_these_tests_can_make_a_good_token(
    session: Session, settings: Settings, person: Actor
) -> None:
    token = forged(settings, person)
    assert accounts.authenticate(session, credential=token, settings=settings) == person


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": now() - timedelta(seconds=1)},
        {"aud": "another"},
        {"iss": "amanar-production/elsewhere"},
        {"sub": "not an id"},
        {"sub": str(new_id())},
    ],
    ids=["expired", "audience", "issuer", "malformed", "unknown"],
)
def test_a_token_that_is_not_for_here_and_now_is_refused(
    session: Session, settings: Settings, person: Actor, claims: dict[str, object]
) -> None:
    token = forged(settings, person, **claims)
    with pytest.raises(KeyRefused):
        accounts.authenticate(session, credential=token, settings=settings)


def test_a_token_signed_by_somebody_else_or_by_nobody_is_refused(
    session: Session, settings: Settings, person: Actor
) -> None:
    claims = jwt.decode(forged(settings, person), options={"verify_signature": False})
    for token in (
        jwt.encode(claims, "another secret, but just as long as the right one", "HS256"),
        jwt.encode(claims, "", algorithm="none"),
        "",
        "a.b.c",
    ):
        with pytest.raises(KeyRefused):
            accounts.authenticate(session, credential=token, settings=settings)


# --- keys ---------------------------------------------------------------------------------------


def issue(session: Session, actor: Actor, **fields: object) -> str:
    issued = accounts.issue_api_key(
        session,
        actor=actor,
        command_id=new_id(),
        label="robot",
        **fields,  # type: ignore[arg-type]
    )
    assert issued.key is not None
    return issued.key


def test_a_key_acts_as_its_person_and_is_stored_as_a_hash(
    session: Session, settings: Settings, person: Actor
) -> None:
    key = issue(session, person)
    assert accounts.authenticate(session, credential=key, settings=settings) == person
    stored = session.exec(select(ApiKey)).one()
    assert key.startswith(f"amk_{stored.prefix}_")
    assert key.rsplit("_", 1)[1] not in repr(stored)


def test_a_key_is_shown_once(session: Session, person: Actor) -> None:
    command_id = new_id()
    first, again = (
        accounts.issue_api_key(session, actor=person, command_id=command_id, label="robot")
        for _ in range(2)
    )
    assert first.key is not None
    assert (again.key_id, again.key) == (first.key_id, None)


@pytest.mark.parametrize("change", ["secret", "prefix", "cut", "empty"])
def test_a_key_that_is_a_little_different_is_refused(
    session: Session, person: Actor, change: str
) -> None:
    key = issue(session, person)
    wrong = {
        "secret": key[:-1] + ("A" if key[-1] != "A" else "B"),
        "prefix": "amk_" + "0" * 12 + key[16:],
        "cut": key[:20],
        "empty": "amk_",
    }[change]
    with pytest.raises(KeyRefused):
        accounts.authenticate_key(session, key=wrong)


def test_an_expired_key_is_refused(session: Session, person: Actor) -> None:
    key = issue(session, person, expires_at=now() - timedelta(seconds=1))
    with pytest.raises(KeyRefused):
        accounts.authenticate_key(session, key=key)


def test_a_revoked_key_is_refused_and_revoking_can_be_repeated(
    session: Session, person: Actor
) -> None:
    key = issue(session, person)
    key_id = session.exec(select(ApiKey.id)).one()
    for _ in range(2):
        accounts.revoke_api_key(session, actor=person, key_id=key_id)
    with pytest.raises(KeyRefused):
        accounts.authenticate_key(session, key=key)
    events = select(AuditEvent).where(col(AuditEvent.action) == "accounts:key:revoke")
    assert len(session.exec(events).all()) == 1


def test_anothers_key_is_not_found_but_an_operator_may_end_it(
    world: World, session: Session, person: Actor
) -> None:
    issue(session, person)
    session.commit()
    key_id = session.exec(select(ApiKey.id)).one()
    with pytest.raises(NotFound, match="key"):
        accounts.revoke_api_key(session, actor=world.buyer(), key_id=key_id)
    accounts.revoke_api_key(session, actor=world.operator(), key_id=key_id)


def test_a_disabled_persons_key_is_refused(session: Session, person: Actor) -> None:
    key = issue(session, person)
    accounts.disable_user(session, actor=SETUP, user_id=person.person())
    with pytest.raises(KeyRefused):
        accounts.authenticate_key(session, key=key)


def test_the_system_has_no_key(session: Session) -> None:
    with pytest.raises(NotAllowed):
        accounts.issue_api_key(
            session, actor=system_actor("monitor-area"), command_id=new_id(), label="robot"
        )


# --- accounts and messages ----------------------------------------------------------------------


def test_the_pools_exist_once(session: Session) -> None:
    kinds = ("issuance", "buffer", "reserve", "retired", "cancelled", "cash_source")
    assert len({accounts.pool(session, kind).id for kind in kinds}) == len(kinds)
    with pytest.raises(NotFound):
        accounts.pool(session, "holding")


def test_messages_are_read_by_their_own_organisation(
    world: World, settings: Settings, session: Session, person: Actor
) -> None:
    with session_scope(settings) as own:
        for number in range(3):
            last = notifications.notify(
                own,
                organisation_id=person.organisation(),
                kind="tests:thing:do",
                subject="thing:1",
                message=f"Message {number}.",
            )
    assert notifications.mark_read(session, actor=world.buyer(), up_to=last.id) == 0
    first = session.exec(select(Notification).order_by(col(Notification.id))).first()
    assert first is not None
    assert notifications.mark_read(session, actor=person, up_to=first.id) == 1
    assert notifications.mark_read(session, actor=person, up_to=last.id) == 2
