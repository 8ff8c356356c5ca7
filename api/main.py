"""The web application: `create_app(settings)` wires routes, pages, guards and error answers.

Nothing happens at import; whoever serves makes the settings, then the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from api import VERSION, routes
from api.console import pages, trouble
from api.console.static_files import router as static_router
from api.description import describe
from api.errors import problem_response
from api.faults import EdgeError
from api.guard import HEADERS, Guard
from api.security import Seals
from geo.errors import GeoError
from registry.errors import RegistryError
from registry.private_files import secret_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from registry.settings import Settings

DESCRIPTION = """
An open registry in which every credit can be walked back, and re-run, to the pixels and plots that
earned it. Reading is open. Writing needs `Authorization: Bearer …`, an API key or a token.

Every `POST` that makes something carries a `Command-Id` header, a UUID made by the client: sent
again with the same content it gives the first result, with other content it is refused.

Lists take `limit` and `after`; `next` is the `after` of the rows that follow. Errors are
problem+json (RFC 9457). Quantities are whole kilograms of CO2e, money is whole minor units.
""".strip()

MACHINE_PATHS = ("/v1", "/health", "/ready")
"""Here errors are problem+json; elsewhere they are pages."""


def create_app(settings: Settings) -> FastAPI:
    """Make the application that serves the API and the pages."""
    app = FastAPI(
        title="Amanar",
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        license_info={"name": "Apache-2.0"},
    )
    app.openapi = describe(app)  # type: ignore[method-assign]
    app.state.settings = settings
    app.state.seals = Seals(secret_of(settings))
    for feature in routes.ALL:
        app.include_router(feature)
    app.include_router(static_router)
    app.include_router(pages.router)
    for meaning in (EdgeError, RegistryError, GeoError, RequestValidationError, HTTPException):
        app.add_exception_handler(meaning, _answer_fault)
    app.add_exception_handler(DBAPIError, _answer_fault)
    app.add_exception_handler(Exception, _answer_own_fault)
    app.add_middleware(Guard, environment=settings.environment)
    return app


def _answer_fault(request: Request, fault: Exception) -> Response:
    if request.url.path.startswith(MACHINE_PATHS):
        return problem_response(request, fault)
    return trouble.page_of_fault(request, fault)


def _answer_own_fault(request: Request, fault: Exception) -> Response:
    """Answer for what nobody expected: this runs outside the guard, so it sets its headers."""
    response = _answer_fault(request, fault)
    response.headers.update(HEADERS)
    return response
