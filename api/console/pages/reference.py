"""The API for people: every path of /v1 from its own description, without a script."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.console.templating import page
from api.console.visits import Looking
from api.errors import HTTP_TITLES, TABLE, Meaning

router = APIRouter()


@dataclass(frozen=True)
class Operation:
    """One path and method."""

    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[tuple[str, str, bool], ...]
    """Name, where and what, whether it is needed."""
    example: str | None


@router.get("/reference")
def show_reference(found: Looking) -> Response:
    """Show the API."""
    described = found.request.app.openapi()
    groups: dict[str, list[Operation]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(described, path, method, operation))
    return page(
        found.request,
        "reference.html",
        actor=found.actor,
        visit=found.visit,
        description=described["info"]["description"].split("\n\n"),
        groups=groups,
        problems=_problems(),
    )


@router.get("/problems/{slug}")
def show_problem(slug: str, found: Looking) -> Response:
    """Say what a problem's type means."""
    meanings = [meaning for meaning in _problems() if meaning.slug == slug] or _problems()
    return page(
        found.request,
        "problems.html",
        actor=found.actor,
        visit=found.visit,
        problems=meanings,
    )


def _problems() -> list[Meaning]:
    known = {meaning.slug: meaning for meaning in (*TABLE.values(), *HTTP_TITLES.values())}
    return sorted(known.values(), key=lambda meaning: (meaning.status, meaning.slug))


def _operation(
    described: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> Operation:
    parameters = tuple(
        (
            one["name"],
            f"{one['in']}: {one.get('description') or one.get('schema', {}).get('type', '')}",
            bool(one.get("required")),
        )
        for one in operation.get("parameters", [])
    )
    return Operation(
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=parameters,
        example=_example(described, operation),
    )


def _example(described: Mapping[str, Any], operation: Mapping[str, Any]) -> str | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    schema = described.get("components", {}).get("schemas", {}).get(name, {})
    examples = schema.get("examples")
    return dumps(examples[0], indent=2) if examples else None
