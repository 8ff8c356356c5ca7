"""Who is asking: bearer tokens and API keys for /v1, a signed cookie for the pages.

/v1 reads the `Authorization` header only, never a cookie, so no other site can make a browser
act there. The pages use a cookie that is signed, bound to one random visit id, renewed at every
sign-in (an id planted before is worth nothing after) and joined by a form token derived from it.

What is signed here is never secret to its holder; it only cannot be forged. Imports itsdangerous,
starlette and the edge's faults.

Order: visits of the pages, form tokens, the credential of /v1.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from itsdangerous import BadData, Signer, URLSafeTimedSerializer

from api.faults import FormExpired, WrongOrigin
from registry.errors import KeyRefused

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

VISIT_SECONDS = 12 * 3600
VISIT_ID_BYTES = 18
PLAIN_COOKIE = "amanar_visit"
SECURE_COOKIE = "__Host-amanar_visit"
"""The prefix lets no other host or path of the site write it; browsers want https for it."""

BEARER = "bearer "


@dataclass(frozen=True)
class Visit:
    """One browser's stay, before or after sign-in."""

    visit_id: str
    user_id: UUID | None


class Seals:
    """All that is signed with the registry's secret key, each use with its own salt."""

    def __init__(self, secret: str) -> None:
        self._visits = URLSafeTimedSerializer(secret, salt="amanar.visit.1")
        self._forms = Signer(secret, salt="amanar.form.1", digest_method=hashlib.sha256)

    def new_visit(self, user_id: UUID | None = None) -> Visit:
        """Begin a visit under an id that nobody can have known before."""
        return Visit(visit_id=secrets.token_urlsafe(VISIT_ID_BYTES), user_id=user_id)

    def visit_of(self, request: Request) -> Visit | None:
        """Read the visit of a page request; None if there is none, or it ended or was forged."""
        text = request.cookies.get(cookie_name(request))
        if not text:
            return None
        try:
            value: Any = self._visits.loads(text, max_age=VISIT_SECONDS)
            user = value["user"]
            return Visit(visit_id=str(value["visit"]), user_id=UUID(user) if user else None)
        except (BadData, ValueError, KeyError, TypeError, AttributeError):
            return None

    def sealed(self, visit: Visit) -> str:
        """Give a visit as the text of its cookie."""
        user = str(visit.user_id) if visit.user_id else None
        text: str = self._visits.dumps({"visit": visit.visit_id, "user": user})
        return text

    def write_visit(self, response: Response, visit: Visit, *, request: Request) -> None:
        """Set the cookie: not readable by scripts, not sent along from other sites."""
        response.set_cookie(
            cookie_name(request),
            self.sealed(visit),
            max_age=VISIT_SECONDS,
            httponly=True,
            samesite="lax",
            secure=is_secure(request),
        )

    def form_token(self, visit: Visit) -> str:
        """Give the hidden field of every form of this visit."""
        return self._forms.get_signature(visit.visit_id.encode()).decode()

    def check_form(self, visit: Visit | None, *, token: object, request: Request) -> None:
        """Let a form through only if it was made for this visit and sent from this site.

        Raises
        ------
        WrongOrigin
            If the browser says that another site sent it.
        FormExpired
            If the visit is gone or the token is not its own.
        """
        origin = request.headers.get("origin")
        if origin not in (None, "null") and urlsplit(origin or "").netloc != request.url.netloc:
            raise WrongOrigin
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise WrongOrigin
        if visit is None or not isinstance(token, str):
            raise FormExpired
        if not secrets.compare_digest(token.encode(), self.form_token(visit).encode()):
            raise FormExpired


def is_secure(request: Request) -> bool:
    """Tell whether the browser reached us by https (uvicorn knows it from the proxy's header)."""
    return request.url.scheme == "https"


def cookie_name(request: Request) -> str:
    """Name the visit's cookie: the guarded name wherever https allows it."""
    return SECURE_COOKIE if is_secure(request) else PLAIN_COOKIE


def forget_visit(response: Response, *, request: Request) -> None:
    """Delete the cookie at sign-out."""
    response.delete_cookie(
        cookie_name(request), httponly=True, samesite="lax", secure=is_secure(request)
    )


def bearer_of(request: Request) -> str | None:
    """Give the credential of the `Authorization` header; None if there is none.

    Raises
    ------
    KeyRefused
        If the header is there but is not of the form `Bearer …`.
    """
    header = request.headers.get("authorization")
    if header is None:
        return None
    if not header.lower().startswith(BEARER) or not header[len(BEARER) :].strip():
        raise KeyRefused
    return header[len(BEARER) :].strip()
