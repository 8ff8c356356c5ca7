"""The demo: starts what is needed, tells the story over HTTP, sums it up, serves.

Imports the story, processes and rich. Order: the run, the servers, the chapters, the summary.
A second run sends the same commands with the same ids: nothing is done twice, and where every
request is measured already no worker and no Prefect is started.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from flows import demo_story as story
from flows.demo_client import Visitor
from flows.processes import free_port, listen, running
from registry.domain import claims
from registry.domain.roles import Role
from registry.errors import RegistryError
from registry.settings import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registry.domain.proof import Verdict
    from registry.settings import Settings

    Say = Callable[[str], None]

START_WAIT_S = 60.0
MEASURE_WAIT_S = 1800.0
POLL_S = 0.5


class NotInProduction(RegistryError):
    """The demo makes up people, plots and money: it runs in a sandbox only. Unset AMANAR_ENVIRONMENT."""  # noqa: E501 (one message, one line)


class ServerEnded(RegistryError):
    """The {what} ended (code {code}): {reason}"""  # noqa: D400 (fields)


class TookTooLong(RegistryError):
    """Measuring took longer than {waited_s:.0f} s; it goes on where it is with "amanar work"."""


@dataclass
class Told:
    """What the story came to."""

    outcomes: list[story.Outcome] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    retirement: dict[str, Any] = field(default_factory=dict)
    certificate: Path | None = None
    verdict: Verdict | None = None


def run_demo(settings: Settings, *, serve: bool, progress: Say) -> None:
    """Tell the whole story and sum it up; with `serve` go on serving until Ctrl-C.

    Raises
    ------
    RegistryError
        With a sentence: not a sandbox, a port taken, something that was not measured.
    """
    if settings.environment != "sandbox":
        raise NotInProduction
    story.admit_people(settings)
    port = settings.port if serve else free_port()
    with _served(settings, port) as (server, address):
        with httpx.Client(base_url=address, timeout=60.0, trust_env=False) as http:
            told = _tell(http, settings, progress)
        _sum_up(settings, told, address=address if serve else None)
        if serve:
            _keep_serving(settings, server, progress)


# --- servers -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _served(settings: Settings, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the API for the length of the block; give its process and its address."""
    folder = settings.state_dir.absolute() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "api.log"
    listen(settings.host, port).close()  # or another program there would answer in our API's place
    command = [*_amanar("serve"), "--host", settings.host, "--port", str(port)]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{port}"
    with running(command, variables=settings.variables(), folder=ROOT, log=log) as process:
        _await_ready(process, address, log=log)
        yield process, address


def _amanar(command: str) -> list[str]:
    return [sys.executable, str(ROOT / "amanar.py"), command]


def _await_ready(process: subprocess.Popen[bytes], address: str, *, log: Path) -> None:
    deadline = time.monotonic() + START_WAIT_S
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{address}/ready").is_success:
                    return
            time.sleep(0.1)
    lines = log.read_text(errors="replace").strip().splitlines()
    reason = lines[-1].removeprefix("amanar: ") if lines else f"see {log}"
    raise ServerEnded(what="API", code=process.poll(), reason=reason)


@dataclass
class _Workers:
    """Starts a worker with the first request that waits, and ends it with the story."""

    settings: Settings
    stack: contextlib.ExitStack
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            variables = self.settings.variables()
            program = running(_amanar("work"), variables=variables, folder=ROOT)
            self.process = self.stack.enter_context(program)
        return self.process

    def await_measured(self, visitor: Visitor, requests: list[str]) -> None:
        """Wait until none of the requests is open; start nothing where none is."""
        deadline = time.monotonic() + MEASURE_WAIT_S
        while any(story.is_open(visitor, one) for one in requests):
            if (code := self.start().poll()) is not None:
                raise ServerEnded(what="worker", code=code, reason="what it said stands above.")
            if time.monotonic() > deadline:
                raise TookTooLong(waited_s=MEASURE_WAIT_S)
            time.sleep(POLL_S)


def _keep_serving(settings: Settings, server: subprocess.Popen[bytes], say: Say) -> None:
    """Serve and measure what is asked for, until Ctrl-C."""
    say("Serving. Requests made on the pages are measured here. Ctrl-C ends it.")
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        worker = _Workers(settings, stack).start()
        while server.poll() is None and worker.poll() is None:
            time.sleep(POLL_S)
        ended, what = (server, "API") if server.poll() is not None else (worker, "worker")
        raise ServerEnded(what=what, code=ended.poll(), reason="run the demo again.")


# --- the chapters --------------------------------------------------------------------------------


def _tell(http: httpx.Client, settings: Settings, say: Say) -> Told:
    """Tell the story from the first polygon to the retired tonne."""
    told = Told()
    folder = settings.state_dir.absolute() / "demo"
    developer = story.enter(http, settings, role=Role.DEVELOPER)
    verifier = story.enter(http, settings, role=Role.VERIFIER)
    with contextlib.ExitStack() as stack:
        workers = _Workers(settings, stack)
        stays = (story.FIRST, story.HARVEST, story.CONVERTED)
        say("Three polygons go in: " + ", ".join(stay.step for stay in stays))
        requests = {stay.code: story.request(developer, stay) for stay in stays}
        workers.await_measured(developer, list(requests.values()))
        for stay in stays:
            report = story.report_of(developer, stay, request_id=requests[stay.code])
            told.outcomes.append(_decide(verifier, stay, report, folder=folder, say=say))
        told.refusals = story.refused_periods(developer)
        for what, sentence in told.refusals.items():
            say(f"RO-STABLE: a second period that {what} is refused: {sentence}")
        second = story.request(developer, story.SECOND)
        workers.await_measured(developer, [second])
        report = story.report_of(developer, story.SECOND, request_id=second)
        outcome = _decide(verifier, story.SECOND, report, folder=folder, say=say)
        told.outcomes.insert(1, outcome)
    _trade(http, settings, told, folder=folder, say=say)
    return told


def _decide(
    verifier: Visitor, stay: story.Stay, report: dict[str, Any], *, folder: Path, say: Say
) -> story.Outcome:
    place = folder / stay.step.replace(" ", "-")
    if report["state"] in {"queued", "in_review"}:
        say(f"{stay.step}: the verifier recomputes the evidence")
        story.recompute(verifier, report, folder=place / "evidence")
    outcome = story.decide(verifier, stay, report=report)
    outcome.pictures = story.pictures_of(verifier, report, folder=place)
    words = {"approve": "approved and minted", "refuse": "refused", "opinion": "screened only"}
    why = outcome.report["review"]["reasons"]
    say(f"{stay.step}: {words[outcome.decision]}. {why}")
    return outcome


def _trade(http: httpx.Client, settings: Settings, told: Told, *, folder: Path, say: Say) -> None:
    """List, buy a part, retire, prove; nothing where nothing was minted."""
    first = told.outcomes[0]
    if not first.batches:
        say("Nothing was minted, so nothing is sold.")
        return
    developer = story.enter(http, settings, role=Role.DEVELOPER)
    buyer = story.enter(http, settings, role=Role.BUYER)
    purchase = story.sell(developer, buyer, batch=first.batches[0])
    say(f"Bought {purchase['quantity']['tonnes']} t for {purchase['paid']['text']} (play money)")
    told.retirement = story.retire(buyer, purchase)
    say(f"Retired {told.retirement['quantity']['tonnes']} t for {told.retirement['beneficiary']}")
    told.certificate = story.certificate(Visitor(http), told.retirement, folder=folder)
    told.verdict = story.verdict_of(Visitor(http), told.certificate, say=say)


# --- the summary ---------------------------------------------------------------------------------


def _sum_up(settings: Settings, told: Told, *, address: str | None) -> None:
    """Print the table of what happened, with the words that belong to it."""
    from rich.console import Console  # noqa: PLC0415 (only the summary needs it)
    from rich.table import Table  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else 176, markup=False, highlight=False)
    table = Table(title="SANDBOX: what became of each polygon", show_lines=True)
    for name in ("Area", "Period", "Above-ground biomass, t/ha", "Kind"):
        table.add_column(name, no_wrap=True)
    for name in ("Decision", "Credited", "Serials"):
        table.add_column(name, overflow="fold")
    for outcome in told.outcomes:
        table.add_row(*_row(outcome))
    console.print(table)
    for outcome in told.outcomes:
        for picture in outcome.pictures:
            console.print(f"{outcome.stay.step}: {picture}", soft_wrap=True)
    if told.certificate and told.verdict:
        serials = ", ".join(told.retirement["serials"])
        console.print(f"Retired:     {serials}", soft_wrap=True)
        console.print(f"Certificate: {told.certificate} (and .pdf)", soft_wrap=True)
        console.print(f"Key:         {told.verdict.fingerprint}", soft_wrap=True)
        path = shlex.quote(str(told.certificate))
        check = f".venv/bin/amanar verify-proof {path} --key {told.verdict.fingerprint}"
        console.print(f"Check it:    {check}", soft_wrap=True)
    for sentence in _sentences(told):
        console.print(f"- {sentence}", soft_wrap=True)
    if address:
        console.print(f"\nPages and API: {address}", soft_wrap=True)
        for role in (Role.DEVELOPER, Role.VERIFIER, Role.BUYER):
            email, password = story.email_of(role), story.password_of(settings, role)
            console.print(f"  sign in as {role.value}: {email}  {password}", soft_wrap=True)


def _row(outcome: story.Outcome) -> list[str]:
    """Write one polygon's line of the table."""
    words = {"approve": "approved", "refuse": "refused", "opinion": "opinion"}
    credited = f"{outcome.minted_kg / 1000:.3f} t CO2e" if outcome.batches else "nothing"
    against = [e["code"] for e in outcome.report["quality"] if e["severity"] == "blocking"]
    return [
        outcome.stay.code,
        f"{outcome.stay.start}\n{outcome.stay.end}",
        _biomass(outcome.report["agb_t_per_ha"]),
        outcome.report["claim"]["kind"],
        words[outcome.decision] + (f": {', '.join(against)}" if against else ""),
        credited,
        "\n".join(batch["serials"] for batch in outcome.batches) or "none",
    ]


def _biomass(found: dict[str, Any] | None) -> str:
    """Write stock and change with their 90 % intervals; what is unknown says so."""
    lines = []
    for name in ("start", "end", "change"):
        value = (found or {}).get(name)
        if value is None:
            lines.append(f"{name}: unknown")
        else:
            low, high = value["ci90"]
            lines.append(f"{name}: {value['mean']:.1f} [{low:.1f}, {high:.1f}]")
    return "\n".join(lines)


def _sentences(told: Told) -> list[str]:
    """Collect what has to be read with these quantities, each sentence once."""
    said = [s for outcome in told.outcomes for s in outcome.report["claim"]["sentences"]]
    return list(dict.fromkeys([claims.SANDBOX, *said, claims.CERTIFICATE, claims.REPLAY]))
