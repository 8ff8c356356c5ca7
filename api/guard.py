"""What stands before every route: size limits on the way in, security headers on the way out.

Plain ASGI, so that a body that is too large is refused while it arrives and never reaches a disk.
Imports starlette and the table of errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.status import HTTP_413_CONTENT_TOO_LARGE

from api.errors import MEDIA_TYPE, problem_of
from api.faults import BodyTooLarge

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT_BYTES = 1_000_000
"""JSON bodies and plain forms."""

UPLOAD_LIMIT_BYTES = 20_000_000
"""Multipart forms: a boundary or a plots file and the few fields beside it."""

BYTES_PER_MB = 1_000_000

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No script at all, no inline style, nothing from elsewhere."""

FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Evidence files: shown or saved, never run."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Guard:
    """Count the body as it arrives; set the headers that every answer carries."""

    def __init__(self, app: ASGIApp, *, environment: str) -> None:
        self.app = app
        self.environment = environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, unless it announces a body that is too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = _limit(Headers(scope=scope))
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced[:19]) > limit:
            fault = BodyTooLarge(limit_text=f"{limit / BYTES_PER_MB:g} MB")
            refusal = _refusal(fault, path=scope["path"], environment=self.environment)
            await refusal(scope, receive, self._dressed(send))
            return
        await self.app(scope, _counted(receive, limit), self._dressed(send))

    def _dressed(self, send: Send) -> Send:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
                headers.setdefault("Cache-Control", "no-store")
                headers["Amanar-Environment"] = self.environment
            await send(message)

        return dressed


def _limit(headers: Headers) -> int:
    multipart = headers.get("content-type", "").lower().startswith("multipart/form-data")
    return UPLOAD_LIMIT_BYTES if multipart else BODY_LIMIT_BYTES


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                fault = BodyTooLarge(limit_text=f"{limit / BYTES_PER_MB:g} MB")
                raise HTTPException(HTTP_413_CONTENT_TOO_LARGE, str(fault))
        return message

    return counted


def _refusal(fault: BodyTooLarge, *, path: str, environment: str) -> JSONResponse:
    problem = problem_of(fault)
    return JSONResponse(
        problem.body(environment=environment, instance=path),
        status_code=problem.meaning.status,
        media_type=MEDIA_TYPE,
    )
