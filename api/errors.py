"""Meaning to HTTP, in one table; every error leaves as problem+json (RFC 9457).

The core raises meanings and knows no status. 422 is kept for payloads that are malformed: what is
well formed but refused has a status of its own. Nothing that a client sends may end in a 5xx.

Order: the table, the problem as a value, the handlers.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from psycopg import errors as postgres
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.status import HTTP_401_UNAUTHORIZED

from api import faults
from geo.errors import BadInput
from registry import errors as refusals
from registry.db import constraint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

log = logging.getLogger("amanar.api")

MEDIA_TYPE = "application/problem+json"
SERVER_FAULT = 500
RETRY_SECONDS = "2"


@dataclass(frozen=True)
class Meaning:
    """How one class of refusal leaves the house."""

    status: int
    slug: str
    title: str


MALFORMED = Meaning(422, "malformed-payload", "Payload malformed")
OURS = Meaning(500, "fault-of-ours", "A fault of ours")
BUSY = Meaning(503, "busy", "Busy, try again")
NOT_READY = Meaning(503, "not-ready", "Not ready")
CONFLICT = Meaning(409, "conflict", "Conflict")

TABLE: Mapping[type[Exception], Meaning] = {
    # the edge itself
    faults.SignInNeeded: Meaning(401, "sign-in-needed", "Sign in needed"),
    faults.BadCursor: Meaning(422, "malformed-payload", "Payload malformed"),
    faults.BodyTooLarge: Meaning(413, "body-too-large", "Request too large"),
    faults.FormExpired: Meaning(403, "form-expired", "Form no longer valid"),
    faults.WrongOrigin: Meaning(403, "wrong-origin", "Sent from another site"),
    faults.FileUnreadable: Meaning(400, "file-refused", "File refused"),
    faults.NotReady: NOT_READY,
    faults.NotConfirmed: Meaning(400, "not-confirmed", "Not confirmed"),
    # files that geo reads: the words are those of the command line
    BadInput: Meaning(400, "file-refused", "File refused"),
    # the registry
    refusals.NotFound: Meaning(404, "not-found", "Not found"),
    refusals.NotAllowed: Meaning(403, "not-allowed", "Role missing"),
    refusals.NotYours: Meaning(403, "not-yours", "Belongs to another organisation"),
    refusals.InvalidValue: Meaning(400, "invalid-value", "Value refused"),
    refusals.WrongState: Meaning(409, "wrong-state", "Not possible in this state"),
    refusals.CommandConflict: Meaning(409, "command-conflict", "Command id used before"),
    refusals.SettingMissing: OURS,
    refusals.EnvironmentMismatch: NOT_READY,
    refusals.RoleTooStrong: NOT_READY,
    refusals.NotMigrated: NOT_READY,
    refusals.SignInRefused: Meaning(401, "sign-in-refused", "Sign-in refused"),
    refusals.KeyRefused: Meaning(401, "key-refused", "Key or token refused"),
    refusals.AlreadyExists: Meaning(409, "already-exists", "Exists already"),
    refusals.LandOverlap: Meaning(409, "land-overlap", "Land already in another project"),
    refusals.CellsClaimed: Meaning(409, "cells-claimed", "Land already claimed"),
    refusals.PeriodOverlap: Meaning(409, "period-overlap", "Period overlaps"),
    refusals.PeriodGap: Meaning(409, "period-gap", "Period leaves a gap"),
    refusals.RequestOpen: Meaning(409, "request-open", "Request still open"),
    refusals.ReportUndecided: Meaning(409, "report-undecided", "Report not decided yet"),
    refusals.LeaseLost: Meaning(409, "lease-lost", "Lease lost"),
    refusals.PreviousChanged: Meaning(409, "previous-changed", "Earlier credits changed"),
    refusals.TermsChanged: Meaning(409, "terms-changed", "Measured otherwise than before"),
    refusals.ReportMismatch: Meaning(409, "report-mismatch", "Report does not fit its request"),
    refusals.EvidenceMissing: Meaning(404, "evidence-missing", "Evidence not in the store"),
    refusals.EvidenceAltered: Meaning(500, "evidence-altered", "Evidence altered on disk"),
    refusals.NotAQuantity: Meaning(400, "not-a-quantity", "Not a quantity"),
    refusals.NotASerial: Meaning(400, "not-a-serial", "Not a serial"),
    refusals.RangesDoNotTile: OURS,
    refusals.UnknownClaimWords: OURS,
    refusals.OwnReport: Meaning(403, "own-report", "Your own organisation's report"),
    refusals.InReview: Meaning(409, "in-review", "In another verifier's review"),
    refusals.NoOpenReview: Meaning(409, "no-open-review", "Take the report first"),
    refusals.EvidenceChanged: Meaning(409, "evidence-changed", "Other evidence"),
    refusals.ReportAltered: Meaning(409, "report-altered", "Not as it was filed"),
    refusals.CannotApprove: Meaning(409, "cannot-approve", "Cannot be approved"),
    refusals.InsufficientBalance: Meaning(409, "insufficient-balance", "Not enough credits"),
    refusals.SerialsNotHeld: Meaning(409, "serials-not-held", "Serials not held"),
    refusals.InsufficientFunds: Meaning(409, "insufficient-funds", "Not enough money"),
    refusals.AccountFrozen: Meaning(409, "account-frozen", "Account frozen"),
    refusals.SandboxOnly: Meaning(409, "sandbox-only", "In a sandbox only"),
    refusals.OwnListing: Meaning(409, "own-listing", "Your own offer"),
    refusals.ListingClosed: Meaning(409, "listing-closed", "Offer closed"),
    refusals.ListingTooSmall: Meaning(409, "listing-too-small", "Not enough left"),
    refusals.NotSealedYet: Meaning(409, "not-sealed-yet", "Not sealed yet"),
    refusals.LogInconsistent: OURS,
    refusals.SecretUnsafe: OURS,
    refusals.SigningKeyUnsafe: OURS,
}
"""Every class that a route may meet, by name; a class that is missing here is a fault of ours."""

HTTP_TITLES = {
    400: Meaning(400, "malformed-request", "Request malformed"),
    404: Meaning(404, "not-found", "Not found"),
    405: Meaning(405, "method-not-allowed", "Method not allowed"),
    413: Meaning(413, "body-too-large", "Request too large"),
}


@dataclass(frozen=True)
class Problem:
    """One refusal, before it becomes JSON or a page."""

    meaning: Meaning
    detail: str
    errors: tuple[Mapping[str, str], ...] = ()
    """For malformed payloads: where, and what is wrong there."""
    extra: Mapping[str, Any] | None = None
    """The fields of the error, for programs."""

    def body(self, *, environment: str, instance: str) -> dict[str, Any]:
        """Give the members of RFC 9457, with the environment and the fields beside them."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.meaning.slug}",
            "title": self.meaning.title,
            "status": self.meaning.status,
            "detail": self.detail,
            "instance": instance,
            "environment": environment,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        if self.extra:
            body["fields"] = dict(self.extra)
        return body


GUARDS = {
    "account_open": Problem(
        TABLE[refusals.AccountFrozen], "An account is frozen; nothing moves from it or to it."
    ),
    "ck_balance_not_overdrawn": Problem(
        TABLE[refusals.InsufficientBalance], "An account holds less than what was asked for."
    ),
}
"""Guards of the database that a change between a service's look and its booking may meet."""


def problem_of(fault: Exception) -> Problem:
    """Say what an exception means outside."""
    if isinstance(fault, RequestValidationError):
        return Problem(MALFORMED, _first_sentence(fault), errors=_places(fault))
    if isinstance(fault, HTTPException):
        meaning = HTTP_TITLES.get(fault.status_code)
        if meaning is None:
            meaning = Meaning(fault.status_code, "http", "Request refused")
        return Problem(meaning, str(fault.detail))
    for kind in type(fault).__mro__:
        if kind in TABLE:
            return Problem(TABLE[kind], str(fault), extra=_plain(getattr(fault, "fields", {})))
    if isinstance(fault, DBAPIError):
        return GUARDS.get(constraint_of(fault) or "") or _database_problem(fault)
    return Problem(OURS, "Something failed on our side. Nothing was changed.")


def problem_response(request: Request, fault: Exception) -> JSONResponse:
    """Answer with problem+json; log what is ours to mend."""
    problem = problem_of(fault)
    note_fault(request, fault, problem=problem)
    environment = request.app.state.settings.environment
    return JSONResponse(
        problem.body(environment=environment, instance=request.url.path),
        status_code=problem.meaning.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(problem, fault),
    )


def note_fault(request: Request, fault: Exception, *, problem: Problem) -> None:
    """Write what is ours to mend into the log: the path and the exception, never the body."""
    if problem.meaning.status >= SERVER_FAULT:
        log.error("%s %s failed", request.method, request.url.path, exc_info=fault)


def headers_of(problem: Problem, fault: Exception) -> dict[str, str]:
    """Give the headers that belong to a refusal."""
    headers = dict(getattr(fault, "headers", None) or {})
    if problem.meaning.status == HTTP_401_UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="amanar"'
    if problem.meaning is BUSY:
        headers["Retry-After"] = RETRY_SECONDS
    return headers


def _places(fault: RequestValidationError) -> tuple[Mapping[str, str], ...]:
    found = []
    for item in fault.errors():
        place = ".".join(str(part) for part in item["loc"])
        found.append({"where": place, "problem": _words(str(item["msg"]))})
    return tuple(found)


def _first_sentence(fault: RequestValidationError) -> str:
    places = _places(fault)
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    return f"{places[0]['where']}: {places[0]['problem']}{more}" if places else "malformed"


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


def _plain(fields: Mapping[str, object]) -> dict[str, Any]:
    """Give the fields of an error as JSON: whole numbers and lists of texts stay what they are."""
    plain: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, list | tuple):
            plain[name] = [str(item) for item in value]
        elif isinstance(value, int) and not isinstance(value, bool):
            plain[name] = value
        else:
            plain[name] = str(value)
    return plain


def _database_problem(fault: DBAPIError) -> Problem:
    """Say what the database's own refusal means, without showing its text.

    The constraints are the last guard: two requests that pass the checks of the services at the
    same instant meet here, so the second one gets a conflict, not a fault.
    """
    cause = fault.orig
    if isinstance(cause, postgres.LockNotAvailable | postgres.DeadlockDetected):
        return Problem(BUSY, "Another command holds what this one needs. Send it again.")
    if isinstance(cause, postgres.SerializationFailure):
        return Problem(BUSY, "Two commands met. Send it again with the same Command-Id.")
    if isinstance(cause, postgres.UniqueViolation | postgres.ExclusionViolation):
        return Problem(CONFLICT, "Another command came first. Read the state and try again.")
    if isinstance(cause, postgres.DataError):
        return Problem(MALFORMED, "A value has a form that cannot be stored.")
    if isinstance(fault, OperationalError):
        return Problem(NOT_READY, "The database cannot be reached now. Nothing was changed.")
    return Problem(OURS, "Something failed on our side. Nothing was changed.")
