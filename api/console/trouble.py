"""Errors as pages: the same words as the API's, in the frame of every page.

Imports errors and templating. Order: the page, faults of a form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import ValidationError
from starlette.responses import RedirectResponse
from starlette.status import HTTP_303_SEE_OTHER

from api.console.templating import Form, page
from api.errors import headers_of, note_fault, problem_of
from api.faults import SignInNeeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response


def page_of_fault(request: Request, fault: Exception) -> Response:
    """Show what is wrong; who must sign in is led there and back."""
    if isinstance(fault, SignInNeeded) and request.method == "GET":
        back = quote(request.url.path, safe="/")
        return RedirectResponse(f"/sign-in?next={back}", status_code=HTTP_303_SEE_OTHER)
    problem = problem_of(fault)
    note_fault(request, fault, problem=problem)
    response = page(
        request,
        "problem.html",
        actor=getattr(request.state, "actor", None),
        visit=getattr(request.state, "visit", None),
        status=problem.meaning.status,
        problem={
            "status": problem.meaning.status,
            "title": problem.meaning.title,
            "detail": problem.detail,
        },
    )
    response.headers.update(headers_of(problem, fault))
    return response


def form_of(values: Mapping[str, str], fault: Exception) -> Form:
    """Give the form back as it was filled in, with the fault in words at its field or above."""
    if isinstance(fault, ValidationError):
        faults: dict[str, str] = {}
        for item in fault.errors():
            name = str(item["loc"][0]) if item["loc"] else ""
            faults.setdefault(name, item["msg"].removeprefix("Value error, "))
        lines = () if any(name in values for name in faults) else tuple(faults.values())
        return Form(values, faults, "Something in the form needs another look.", lines)
    rows = getattr(fault, "fields", {}).get("rows")
    if rows:
        count = len(rows)
        summary = f"{count} fault{'s' if count != 1 else ''} in the rows of the file."
        return Form(values, {}, summary, tuple(str(row) for row in rows))
    return Form(values, {}, problem_of(fault).meaning.title, (str(fault),))
