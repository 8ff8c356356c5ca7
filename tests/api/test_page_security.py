"""Cookies, forms and headers of the pages: what other sites and old visits cannot do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from registry.db import session_scope
from registry.domain.roles import system_actor
from registry.services import accounts
from tests.api.conftest import make_client
from tests.api.stage import PASSWORD, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response
    from starlette.testclient import TestClient

    from registry.settings import Settings

TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
COOKIE = "amanar_visit"
DEPOSIT = {"amount": "100", "command_id": "0190a5d0-0000-7000-8000-000000000001"}
STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture(scope="module")
def members(shared_settings: Settings) -> Stage:
    """Give people who can sign in with a password."""
    return Stage(shared_settings, passwords=True)


@pytest.fixture
def browser(shared_settings: Settings) -> Iterator[TestClient]:
    """Give a browser without cookies."""
    with make_client(shared_settings) as made:
        yield made


def form_token(page: Response) -> str:
    """Read the hidden field of a page's first form."""
    found = TOKEN.search(page.text)
    assert found is not None
    return found[1]


def sign_in(browser: TestClient, email: str, password: str = PASSWORD, **more: str) -> Response:
    """Sign in through the form."""
    token = form_token(browser.get("/sign-in"))
    data = {"csrf": token, "email": email, "password": password, **more}
    return browser.post("/sign-in", data=data)


def test_headers_of_a_page_are_strict(browser: TestClient) -> None:
    for path in ("/", "/sign-in", "/nothing", "/log"):
        headers = browser.get(path).headers
        assert headers["content-security-policy"] == STRICT
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_pages_carry_no_script_no_inline_style_and_nothing_from_elsewhere(
    browser: TestClient,
) -> None:
    for path in ("/", "/sign-in", "/kinds", "/log", "/reference", "/market", "/nothing"):
        page = browser.get(path).text
        assert "<script" not in page
        assert " style=" not in page
        assert not re.search(r"\son[a-z]+=", page)
        assert not re.search(r"(src|href|action)=\"(https?:)?//", page)


def test_cookie_cannot_be_read_by_scripts_or_sent_from_other_sites(
    browser: TestClient, members: Stage
) -> None:
    answer = sign_in(browser, members.email(members.buyer))
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


def test_cookie_is_secure_and_bound_to_the_host_over_https(
    members: Stage, shared_settings: Settings
) -> None:
    with make_client(shared_settings) as browser:
        browser.base_url = "https://registry.example"
        cookie = sign_in(browser, members.email(members.buyer)).headers["set-cookie"]
    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert "Secure" in cookie


def test_signing_in_begins_a_new_visit(browser: TestClient, members: Stage) -> None:
    browser.get("/sign-in")
    planted = browser.cookies[COOKIE]
    sign_in(browser, members.email(members.buyer))
    seals: Any = browser.app.state.seals  # type: ignore[attr-defined]
    before = seals._visits.loads(planted)
    after = seals._visits.loads(browser.cookies[COOKIE])
    assert before["visit"] != after["visit"]
    assert before["user"] is None
    assert after["user"] == str(members.buyer.user_id)


def test_token_of_the_visit_before_sign_in_is_worth_nothing_after(
    browser: TestClient, members: Stage
) -> None:
    old = form_token(browser.get("/sign-in"))
    sign_in(browser, members.email(members.buyer))
    answer = browser.post("/holdings/deposit", data={**DEPOSIT, "csrf": old})
    assert answer.status_code == 403
    assert "no longer valid" in answer.text


@pytest.mark.parametrize("token", [None, "", "wrong", "\u00e9", "A" * 10_000])
def test_form_without_its_token_does_nothing(
    browser: TestClient, members: Stage, token: str | None
) -> None:
    sign_in(browser, members.email(members.buyer))
    data = dict(DEPOSIT)
    if token is not None:
        data["csrf"] = token
    answer = browser.post("/holdings/deposit", data=data)
    assert answer.status_code == 403
    assert "none" in browser.get("/holdings").text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_form_from_another_site_does_nothing(
    browser: TestClient, members: Stage, headers: dict[str, str]
) -> None:
    sign_in(browser, members.email(members.buyer))
    token = form_token(browser.get("/holdings"))
    answer = browser.post("/holdings/deposit", data={**DEPOSIT, "csrf": token}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text


def test_cookie_is_no_credential_of_the_api(browser: TestClient, members: Stage) -> None:
    sign_in(browser, members.email(members.buyer))
    assert browser.get("/holdings").status_code == 200
    assert browser.get("/v1/balances").status_code == 401


def test_forged_or_foreign_cookie_is_nobody(browser: TestClient, members: Stage) -> None:
    sign_in(browser, members.email(members.buyer))
    good = browser.cookies[COOKIE]
    browser.cookies.clear()
    for wrong in (good[:-2] + "xx", "x", good.replace(".", "", 1), ""):
        answer = browser.get("/holdings", headers={"Cookie": f"{COOKIE}={wrong}"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=/holdings"


def test_wrong_password_says_nothing_of_who_exists(browser: TestClient, members: Stage) -> None:
    known = sign_in(browser, members.email(members.buyer), "not the password")
    unknown = sign_in(browser, "nobody@nowhere.example", "not the password")
    assert known.status_code == unknown.status_code == 401
    words = "No account with this e-mail and password, or it is disabled."
    assert words in known.text
    assert words in unknown.text
    assert "not the password" not in known.text


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/market", "/market"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("", "/"),
    ],
)
def test_sign_in_leads_on_within_this_site_only(
    browser: TestClient, members: Stage, target: str, expected: str
) -> None:
    answer = sign_in(browser, members.email(members.buyer), next=target)
    assert answer.headers["location"] == expected


def test_signing_out_ends_the_visit(browser: TestClient, members: Stage) -> None:
    sign_in(browser, members.email(members.buyer))
    token = form_token(browser.get("/holdings"))
    answer = browser.post("/sign-out", data={"csrf": token})
    assert answer.headers["location"] == "/"
    assert browser.get("/holdings").status_code == 303


def test_disabled_person_is_out_at_once(browser: TestClient, members: Stage) -> None:
    person = members.world.person(*members.buyer.roles, password=PASSWORD)
    sign_in(browser, members.email(person))
    assert browser.get("/holdings").status_code == 200
    with session_scope(members.settings) as session:
        accounts.disable_user(
            session, actor=system_actor("setup"), user_id=person.user_id or person.organisation()
        )
    assert browser.get("/holdings").status_code == 303


def test_what_people_write_is_shown_as_text(browser: TestClient, members: Stage) -> None:
    wild = '<script>alert(1)</script>"><img src=x onerror=alert(1)> {{ 7*7 }}'
    project = members.world.project(
        members.developer, code="XSS-1", name=wild, activity=wild, description=wild
    )
    page = browser.get(f"/projects/{project.code}").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page


def test_member_of_another_role_is_told_so_on_a_page(browser: TestClient, members: Stage) -> None:
    sign_in(browser, members.email(members.buyer))
    for path in ("/review", "/projects/new"):
        answer = browser.get(path)
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/html")
        assert "needs the role" in answer.text
