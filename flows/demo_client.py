"""Speaking to the served API as any client does; every command may be repeated.

Imports httpx and registry's errors. Order: faults, a visitor, signing in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

NAMESPACE = UUID("7a2f3c52-5d0e-5c63-9a4e-5b1f0a6d9e11")
"""Of the demo's command ids: the same step has the same id in every run."""

CONFLICT = "command-conflict"


class StepRefused(RegistryError):
    """The step "{step}" was refused: {detail}"""  # noqa: D400 (fields)


class OtherStory(RegistryError):
    """The database holds the demo's story as another version told it ({step}). Start anew with "amanar db reset --yes"."""  # noqa: E501 (fields; one message, one line)


class NotRefused(RegistryError):
    """The step "{step}" should have been refused, and was not."""


@dataclass(frozen=True)
class Visitor:
    """Somebody at the API: the public, or a person with a token."""

    http: httpx.Client
    token: str | None = None

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read a resource."""
        return self._answer(self.http.get(path, params=query, headers=self._headers()), path)

    def read(self, path: str) -> bytes:
        """Read a file."""
        answer = self.http.get(path, headers=self._headers())
        if not answer.is_success:
            raise StepRefused(step=path, detail=_detail(answer))
        return answer.content

    def post(
        self,
        path: str,
        step: str,
        *,
        json: Mapping[str, Any] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> dict[str, Any]:
        """Send a command; sent again, it gives the first result."""
        return self._answer(self._send(path, step, json=json, file=file), step)

    def post_in_vain(self, path: str, step: str, *, json: Mapping[str, Any]) -> str:
        """Send a command that the registry has to refuse; give its sentence."""
        answer = self._send(path, step, json=json, file=None)
        if answer.is_success:
            raise NotRefused(step=step)
        return _detail(answer)

    def _send(
        self,
        path: str,
        step: str,
        *,
        json: Mapping[str, Any] | None,
        file: tuple[str, bytes] | None,
    ) -> httpx.Response:
        headers = self._headers() | {"Command-Id": str(uuid5(NAMESPACE, step))}
        if file is not None:
            return self.http.post(path, files={"file": file}, headers=headers)
        return self.http.post(path, json=json, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _answer(self, answer: httpx.Response, step: str) -> dict[str, Any]:
        if not answer.is_success:
            detail = _detail(answer)
            if CONFLICT in str(_problem(answer).get("type")):
                raise OtherStory(step=step)
            raise StepRefused(step=step, detail=detail)
        found: dict[str, Any] = answer.json()
        return found


def sign_in(http: httpx.Client, *, email: str, password: str) -> Visitor:
    """Sign in and give the person at the API."""
    body = {"email": email, "password": password}
    return Visitor(http, Visitor(http).post("/v1/sign-in", "sign in", json=body)["token"])


def _problem(answer: httpx.Response) -> dict[str, Any]:
    """Give the problem document (RFC 9457) of a refusal, or nothing."""
    if "problem+json" not in answer.headers.get("content-type", ""):
        return {}
    found: dict[str, Any] = answer.json()
    return found


def _detail(answer: httpx.Response) -> str:
    problem = _problem(answer)
    said = problem.get("detail") or problem.get("title") or answer.text[:200]
    return f"{said} ({answer.status_code})"
