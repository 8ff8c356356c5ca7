"""Sign-in, organisations, people and API keys under /v1."""

from uuid import UUID

from fastapi import APIRouter, status

from api.deps import Acting, CommandId, SettingsDep, Transaction
from api.schemas.accounts import (
    Key,
    KeyBody,
    KeysAnswer,
    MeAnswer,
    NewKeyAnswer,
    OrganisationAnswer,
    OrganisationBody,
    SignInBody,
    TokenAnswer,
    UserAnswer,
    UserBody,
)
from registry.queries import accounts as people
from registry.services import accounts

router = APIRouter(prefix="/v1", tags=["accounts"])


@router.post("/sign-in", operation_id="sign_in")
def sign_in(body: SignInBody, session: Transaction, settings: SettingsDep) -> TokenAnswer:
    """Give a bearer token for an email and a password."""
    actor = accounts.sign_in(session, email=body.email, password=body.password)
    token, ends_at = accounts.issue_token(actor, settings=settings)
    return TokenAnswer(environment=settings.environment, token=token, expires_at=ends_at)


@router.get("/me", operation_id="read_me")
def read_me(actor: Acting, settings: SettingsDep) -> MeAnswer:
    """Say who you are here, and what you may do."""
    return MeAnswer.of(actor, settings.environment)


@router.post(
    "/organisations", status_code=status.HTTP_201_CREATED, operation_id="admit_organisation"
)
def admit_organisation(
    body: OrganisationBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> OrganisationAnswer:
    """Admit an organisation and open its accounts. Operators only."""
    made = accounts.create_organisation(
        session, actor=actor, command_id=command_id, name=body.name, country=body.country
    )
    return OrganisationAnswer.of(made, settings.environment)


@router.post("/users", status_code=status.HTTP_201_CREATED, operation_id="admit_user")
def admit_user(
    body: UserBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> UserAnswer:
    """Admit a person of an organisation. Operators only."""
    person = accounts.NewPerson(
        organisation_id=body.organisation_id,
        email=body.email,
        name=body.name,
        roles=frozenset(body.roles),
        password=body.password,
    )
    made = accounts.create_user(session, actor=actor, command_id=command_id, person=person)
    return UserAnswer.of(made, settings.environment)


@router.get("/api-keys", operation_id="list_keys")
def list_keys(session: Transaction, actor: Acting, settings: SettingsDep) -> KeysAnswer:
    """List your keys, without their secrets."""
    rows = people.keys_of(session, user_id=actor.user_id)
    return KeysAnswer(environment=settings.environment, items=[Key.of(row) for row in rows])


@router.post("/api-keys", status_code=status.HTTP_201_CREATED, operation_id="issue_key")
def issue_key(
    body: KeyBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> NewKeyAnswer:
    """Make a key that acts as you. The key is shown this once."""
    made = accounts.issue_api_key(session, actor=actor, command_id=command_id, label=body.label)
    return NewKeyAnswer(
        environment=settings.environment, id=made.key_id, label=body.label, key=made.key
    )


@router.post("/api-keys/{key_id}/revocation", operation_id="revoke_key")
def revoke_key(
    key_id: UUID, *, session: Transaction, actor: Acting, settings: SettingsDep
) -> KeysAnswer:
    """End a key at once; safe to repeat."""
    ended = accounts.revoke_api_key(session, actor=actor, key_id=key_id)
    return KeysAnswer(environment=settings.environment, items=[Key.of(ended)])
