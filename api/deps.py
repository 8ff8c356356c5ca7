"""What routes ask for: the transaction of the request, who acts, the id of the command.

One transaction a request: it begins when a route first asks for it and is committed after the
route returned and before the answer leaves, so nobody is told "done" before it is done.

Order: settings, transaction, actors, command ids.
"""

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.orm import Session

from api.faults import SignInNeeded
from api.security import Seals, bearer_of
from registry.db import session_scope
from registry.domain.roles import Actor
from registry.services import accounts
from registry.settings import Settings


def settings_of(request: Request) -> Settings:
    """Give the settings that the application was made with."""
    settings: Settings = request.app.state.settings
    return settings


def seals_of(request: Request) -> Seals:
    """Give what signs tokens and visits."""
    seals: Seals = request.app.state.seals
    return seals


SettingsDep = Annotated[Settings, Depends(settings_of)]
SealsDep = Annotated[Seals, Depends(seals_of)]


def transaction(settings: SettingsDep) -> Iterator[Session]:
    """Open the one transaction of this request; commit when the route returned, else roll back."""
    with session_scope(settings) as session:
        yield session


Transaction = Annotated[Session, Depends(transaction, scope="function")]


BEARER = HTTPBearer(
    auto_error=False, description="An API key, or the token that POST /v1/sign-in gives."
)
"""Said in the description of the API; the header itself is read in security.py."""


def reader(
    request: Request,
    *,
    session: Transaction,
    settings: SettingsDep,
    _described: Annotated[object, Security(BEARER)],
) -> Actor | None:
    """Give who asks, or None for the public; a credential that is wrong is refused, not ignored."""
    credential = bearer_of(request)
    if credential is None:
        return None
    return accounts.authenticate(session, credential=credential, settings=settings)


Reader = Annotated[Actor | None, Depends(reader, scope="function")]


def acting(actor: Reader) -> Actor:
    """Give who acts.

    Raises
    ------
    SignInNeeded
        If the request carries no credential.
    """
    if actor is None:
        raise SignInNeeded
    return actor


Acting = Annotated[Actor, Depends(acting, scope="function")]

CommandId = Annotated[
    UUID,
    Header(
        alias="Command-Id",
        description=(
            "A UUID that the client makes, best a UUIDv7. The same id with the same content gives "
            "the first result again; with other content it is refused (409 command-conflict)."
        ),
    ),
]
