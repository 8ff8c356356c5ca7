"""Carrying out what a form asks, or giving the form back with the fault in words.

What a form asks is done inside a savepoint: if a service refuses, everything it began is undone
and the page can still be drawn in the same transaction. Imports trouble and visits.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError
from starlette.responses import RedirectResponse
from starlette.status import (
    HTTP_303_SEE_OTHER,
    HTTP_400_BAD_REQUEST,
    HTTP_422_UNPROCESSABLE_CONTENT,
)

from api.errors import SERVER_FAULT, problem_of
from api.faults import EdgeError
from geo.errors import GeoError
from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session
    from starlette.responses import Response

REFUSALS = (ValidationError, EdgeError, RegistryError, GeoError)
"""What a form can be refused for; anything else is a fault of ours and not caught."""


class Refused(Exception):
    """What was asked is refused; `fault` says why."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(str(fault))
        self.fault = fault


@contextmanager
def attempt(session: Session) -> Iterator[None]:
    """Do what a form asks; if it is refused, undo it and raise `Refused`.

    Raises
    ------
    Refused
        For what the sender can mend. What is ours to mend goes on as it is.
    """
    try:
        with session.begin_nested():
            yield
    except REFUSALS as fault:
        if not isinstance(fault, ValidationError) and problem_of(fault).meaning.status >= (
            SERVER_FAULT
        ):
            raise
        raise Refused(fault) from fault


def status_of(fault: Exception) -> int:
    """Give the status of the page that gives a form back."""
    if isinstance(fault, ValidationError):
        return HTTP_422_UNPROCESSABLE_CONTENT
    status = problem_of(fault).meaning.status
    return max(status, HTTP_400_BAD_REQUEST)


def go_to(path: str) -> Response:
    """Lead on after something was done, so that a reload does not send the form again."""
    return RedirectResponse(path, status_code=HTTP_303_SEE_OTHER)
