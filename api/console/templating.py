"""The frame around every page: the Jinja environment and what each page is given.

Values are escaped unless a template says otherwise, and none does. A name that a template asks for
and nobody gave is an error, not a blank. Imports jinja2, the seals, the catalog of sentences.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from api import VERSION
from api.console import present
from registry.domain import claims
from registry.domain.quantities import money_text
from registry.domain.roles import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from api.security import Visit
    from registry.domain.roles import Actor

HERE = Path(__file__).parent
STATIC_DIR = HERE / "static"


FLASHES = {
    "project": "The project is registered. Now upload the boundary of its land.",
    "area": "The boundary is stored and its land is claimed for this project.",
    "request": "Monitoring is requested. This page shows how far it is.",
    "cancelled": "The request is withdrawn.",
    "taken": "The report is yours to review until the lease ends.",
    "decided": "Your decision is recorded.",
    "listed": "The credits are on offer.",
    "withdrawn": "The offer is taken back.",
    "bought": "Bought: credits and money changed hands in one step.",
    "deposited": "Play money was added.",
}
"""What is said once after something was done, by the word in the address."""


@dataclass(frozen=True)
class Visitor:
    """Whoever is signed in, as the header shows it."""

    name: str
    standing: str


@dataclass
class Form:
    """A form as it stands on the page: what was typed, and what is wrong with it."""

    values: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    summary: str | None = None
    lines: tuple[str, ...] = ()


@cache
def jinja() -> Environment:
    """Build the template environment once."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters.update(
        tonnes=present.tonnes,
        hectares=present.hectares,
        number=present.number_text,
        day=present.day,
        day_before=present.day_before,
        group=present.grouped,
        minute=present.minute,
        money=money_text,
        ticked=_ticked,
        state_badge=present.badge_of_state,
        report_badge=present.badge_of_report,
        kind_badge=present.badge_of_kind,
    )
    environment.globals.update(
        static=static_path,
        new_command_id=lambda: str(uuid4()),
        version=VERSION,
        sandbox_sentence=claims.SANDBOX,
        proof_sentence=claims.CERTIFICATE,
        replay_sentence=claims.REPLAY,
        trading_sentence=claims.TRADING,
        sandbox_trade_sentence=claims.SANDBOX_TRADE,
    )
    return environment


@cache
def static_path(name: str) -> str:
    """Name a static file by its content, so that it may be kept for ever."""
    digest = hashlib.sha256((STATIC_DIR / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


def page(
    request: Request,
    template: str,
    *,
    actor: Actor | None,
    visit: Visit | None,
    status: int = 200,
    **values: object,
) -> HTMLResponse:
    """Render one page with its frame."""
    state = request.app.state
    frame = {
        "environment": state.settings.environment,
        "navigation": _navigation(request.url.path, actor),
        "visitor": _visitor(actor),
        "csrf": state.seals.form_token(visit) if visit else "",
        "flash": FLASHES.get(request.query_params.get("done", "")),
    }
    html = jinja().get_template(template).render(**frame, actor=actor, **values)
    return HTMLResponse(html, status_code=status)


def _ticked(text: str) -> Markup:
    """Show what stands between backticks as code; everything is escaped first."""
    parts = [escape(part) for part in text.split("`")]
    code = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    shown = [*parts]
    shown[1::2] = code
    return Markup("").join(shown)


def _visitor(actor: Actor | None) -> Visitor | None:
    if actor is None:
        return None
    return Visitor(name=actor.name, standing=", ".join(sorted(actor.roles)))


def _navigation(path: str, actor: Actor | None) -> list[dict[str, Any]]:
    roles = actor.roles if actor else frozenset()
    entries = [("/", "Projects"), ("/market", "Market")]
    if roles & {Role.BUYER, Role.DEVELOPER}:
        entries.append(("/holdings", "Holdings"))
    if Role.VERIFIER in roles:
        entries.append(("/review", "Review"))
    return [{"href": href, "label": label, "here": _is_here(path, href)} for href, label in entries]


def _is_here(path: str, href: str) -> bool:
    if href == "/":
        return path == "/" or path.startswith("/projects")
    return path == href or path.startswith(f"{href}/")
