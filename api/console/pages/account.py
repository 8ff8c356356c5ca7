"""Signing in and out.

Signing in begins a new visit under a new id, so an id that somebody planted before is worthless.
"""

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response
from starlette.status import HTTP_303_SEE_OTHER, HTTP_401_UNAUTHORIZED

from api.console.templating import Form, page
from api.console.trouble import form_of
from api.console.visits import Looking, Posted, text_of
from api.deps import SealsDep
from api.schemas.accounts import SignInBody
from api.security import forget_visit
from registry.errors import SignInRefused
from registry.services import accounts

router = APIRouter()


@router.get("/sign-in")
def show_sign_in(found: Looking, seals: SealsDep, next: str = "/") -> Response:  # noqa: A002
    """Show the form; a browser without a visit gets one, for the form's token."""
    visit = found.visit or seals.new_visit()
    response = page(
        found.request,
        "sign_in.html",
        actor=found.actor,
        visit=visit,
        form=Form(),
        next=_inside(next),
    )
    if found.visit is None:
        seals.write_visit(response, visit, request=found.request)
    return response


@router.post("/sign-in")
def sign_in(found: Looking, data: Posted, seals: SealsDep) -> Response:
    """Recognise a person and begin their visit."""
    target = _inside(text_of(data, "next"))
    email = text_of(data, "email")
    try:
        body = SignInBody.model_validate({"email": email, "password": data.get("password") or ""})
        actor = accounts.sign_in(found.session, email=body.email, password=body.password)
    except (ValidationError, SignInRefused) as fault:
        return page(
            found.request,
            "sign_in.html",
            actor=None,
            visit=found.visit,
            status=HTTP_401_UNAUTHORIZED,
            form=form_of({"email": email}, fault),
            next=target,
        )
    response = RedirectResponse(target, status_code=HTTP_303_SEE_OTHER)
    seals.write_visit(response, seals.new_visit(actor.user_id), request=found.request)
    return response


@router.post("/sign-out")
def sign_out(request: Request, _data: Posted) -> Response:
    """End the visit."""
    response = RedirectResponse("/", status_code=HTTP_303_SEE_OTHER)
    forget_visit(response, request=request)
    return response


def _inside(path: str) -> str:
    """Give a path of this site to go on to; anything else leads to the front page."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"
