"""The API's description (OpenAPI): what FastAPI says, with refusals told as they really leave.

FastAPI describes a 422 of its own form; ours are problem+json for every refusal. Imports fastapi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

MEDIA_TYPE = "application/problem+json"
NOT_OURS = ("HTTPValidationError", "ValidationError")


class Place(BaseModel):
    """One place of a payload and what is wrong there."""

    where: str = Field(examples=["body.quantity_kg"])
    problem: str


class ProblemDetails(BaseModel):
    """A refusal (RFC 9457). `type` names the meaning and can be read as a page."""

    type: str = Field(examples=["/problems/listing-too-small"])
    title: str
    status: int
    detail: str = Field(description="A sentence with the values and, where there is one, the fix.")
    instance: str
    environment: str
    errors: list[Place] | None = Field(default=None, description="Malformed payloads only.")
    fields: dict[str, Any] | None = Field(default=None, description="The values, for programs.")


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Give the function that makes the description, once."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                    license_info=app.license_info,
                )
            )
        return app.openapi_schema

    return described


def _with_problems(description: dict[str, Any]) -> dict[str, Any]:
    schemas = description["components"]["schemas"]
    for name in NOT_OURS:
        schemas.pop(name, None)
    own = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(own.pop("$defs", {}))
    schemas["ProblemDetails"] = own
    refused = {
        "description": "Refused; nothing was changed.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }
    for methods in description["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            operation["responses"]["4XX"] = refused
    return description
