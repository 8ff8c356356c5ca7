"""Who looks at a page, and the forms they send. Imports deps, security and accounts.

Order: the visitor, those who must be signed in, forms.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile

from api.deps import SealsDep, SettingsDep, Transaction
from api.faults import FormExpired, SignInNeeded
from api.security import Visit
from registry.domain.roles import Actor
from registry.errors import KeyRefused
from registry.services import accounts
from registry.settings import Settings


@dataclass(frozen=True)
class Look:
    """One request for a page: who looks, in which visit, within which transaction."""

    request: Request
    session: Session
    settings: Settings
    visit: Visit | None
    actor: Actor | None


def look(request: Request, *, session: Transaction, settings: SettingsDep, seals: SealsDep) -> Look:
    """Find out who looks; a visit whose person is gone counts as signed out."""
    visit = seals.visit_of(request)
    actor = None
    if visit is not None and visit.user_id is not None:
        try:
            actor = accounts.actor_of_user(session, user_id=visit.user_id)
        except KeyRefused:
            visit = None
    request.state.visit, request.state.actor = visit, actor
    return Look(request, session, settings, visit, actor)


Looking = Annotated[Look, Depends(look, scope="function")]


@dataclass(frozen=True)
class SignedIn(Look):
    """A look of somebody who is signed in."""

    actor: Actor


def signed_in(found: Looking) -> SignedIn:
    """Give the look of a person.

    Raises
    ------
    SignInNeeded
        If nobody is signed in; the page for it leads to the sign-in and back.
    """
    if found.actor is None:
        raise SignInNeeded
    return SignedIn(found.request, found.session, found.settings, found.visit, found.actor)


Person = Annotated[SignedIn, Depends(signed_in, scope="function")]


async def posted(request: Request, seals: SealsDep) -> AsyncIterator[FormData]:
    """Read a form and make sure that it is of this visit and of this site."""
    async with request.form(max_files=2, max_fields=40) as data:
        seals.check_form(seals.visit_of(request), token=data.get("csrf"), request=request)
        yield data


Posted = Annotated[FormData, Depends(posted)]


def text_of(data: FormData, name: str) -> str:
    """Give a text field as it was typed, without the spaces around it; missing is empty."""
    value = data.get(name)
    return value.strip() if isinstance(value, str) else ""


def file_of(data: FormData, name: str) -> UploadFile | None:
    """Give an uploaded file; None if none was chosen."""
    value = data.get(name)
    return value if isinstance(value, UploadFile) and value.filename else None


def texts_of(data: FormData) -> dict[str, str]:
    """Give every text field, to show the form again as it was filled in."""
    return {name: value for name, value in data.items() if isinstance(value, str)}


def command_id_of(data: FormData) -> UUID:
    """Give the form's command id, made when the page was drawn: sent twice, done once.

    Raises
    ------
    FormExpired
        If it is no UUID: the form was not one of ours.
    """
    try:
        return UUID(text_of(data, "command_id"))
    except ValueError as fault:
        raise FormExpired from fault
