"""The front door: the command line. The only file that may import all four packages.

Rasters, the database, Prefect and plotting load inside the command that needs them, so that
`amanar --help` answers at once. Order: the way out (faults become one sentence and an exit code),
measuring, checking, the registry's processes, the database.

Exit codes: 0 done; 1 a fault of ours; 2 bad input; 3 and 4 are verdicts of `replay` and
`verify-proof`; 130 interrupted.
"""

import errno
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geo.errors import BadInput, GeoError
from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.settings import Settings

OK, OUR_FAULT, BAD_INPUT, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Amanar: carbon credits that can be walked back, and re-run, to the pixels and plots.",
)
database = typer.Typer(no_args_is_help=True, help="The private PostgreSQL of this clone.")
app.add_typer(database, name="db")


class BadSettings(RegistryError):
    """The settings cannot be used: {problems}."""


class DatabaseAway(RegistryError):
    """The database of AMANAR_DATABASE_URL cannot be used: {reason}. Start or mend it."""


# --- the way out ---------------------------------------------------------------------------------


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: "Sequence[str]") -> int:
    """Run one command; every fault becomes one sentence on stderr and an exit code."""
    try:
        answer = app(args=list(arguments), prog_name="amanar", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUR_FAULT
    except (KeyboardInterrupt, typer.Abort):
        return _leave("stopped.", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last door: nothing may end as a traceback
        return _leave(*_explain(error))
    return answer if isinstance(answer, int) else OK


def _explain(error: Exception) -> tuple[str, int]:
    """Give the sentence and the exit code of a fault."""
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "amanar"
        return f"{error.format_message()} See {command} --help.", error.exit_code
    if isinstance(error, BadInput):
        return str(error), BAD_INPUT
    if isinstance(error, GeoError | RegistryError):
        return str(error), OUR_FAULT
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = error.filename or "the output directory"
        return f"The disk of {where} is full: make room there and run this again.", OUR_FAULT
    with tempfile.NamedTemporaryFile("w", prefix="amanar-fault-", delete=False) as details:
        details.write("".join(traceback.format_exception(error)))
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"A fault of ours ({what[:300]}). The details are in {details.name}.", OUR_FAULT


def _leave(sentence: str, code: int) -> int:
    print("amanar:", " ".join(sentence.split()), file=sys.stderr)
    return code


def _say(text: str) -> None:
    """Show progress: always on stderr, so that stdout carries only the answer."""
    print(text, file=sys.stderr, flush=True)


def _settings() -> "Settings":
    """Read the settings; a bad one is the caller's to mend."""
    from pydantic import ValidationError  # noqa: PLC0415

    from registry.settings import Settings  # noqa: PLC0415

    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'_'.join(['AMANAR', *map(str, entry['loc'])]).upper()}: {entry['msg']}"
            for entry in error.errors()
        )
        raise BadSettings(problems=problems) from error


def _database() -> "Settings":
    """Give settings with a migrated database, starting this clone's own where none is named."""
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    from registry.cluster import with_database  # noqa: PLC0415
    from registry.db import check_ready  # noqa: PLC0415
    from registry.errors import NotMigrated  # noqa: PLC0415

    settings = with_database(_settings())
    try:
        check_ready(settings)
    except NotMigrated:
        if settings.database_owner_url is None:
            raise
        _migrate(settings)
        check_ready(settings)
    except OperationalError as error:
        raise DatabaseAway(reason=str(error.orig).partition("\n")[0]) from error
    return settings


def _migrate(settings: "Settings") -> None:
    """Bring the schema up to date; the application's role gets the password of its address."""
    from sqlalchemy import make_url  # noqa: PLC0415

    from registry.db import APP_ROLE, migrate  # noqa: PLC0415

    address = make_url(settings.url())
    password = address.password if address.username == APP_ROLE else None
    migrate(settings.owner_url(), environment=settings.environment, app_password=password)


# --- measuring -----------------------------------------------------------------------------------


def _whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError as error:
        message = f"{text!r} is no whole number."
        raise typer.BadParameter(message) from error


@app.command()
def estimate(
    *,
    boundary: Annotated[Path, typer.Option(help="GeoJSON, KML, GPKG or zipped shapefile.")],
    catalog: Annotated[str, typer.Option(help="Path or address of a STAC catalog or API.")],
    collection: Annotated[str, typer.Option(help="Any collection id of the catalog.")],
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="First day.")],
    end: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Last day.")],
    project: Annotated[Path | None, typer.Option(help="Project file (JSON).")] = None,
    sensor: Annotated[
        str, typer.Option(help="auto, sentinel-2-l2a, landsat-c2-l2 or a card (JSON).")
    ] = "auto",
    plots: Annotated[
        Path | None, typer.Option(help="CSV: plot_id,lon,lat,date,area_ha,agb_t_per_ha.")
    ] = None,
    donor_pool: Annotated[Path | None, typer.Option(help="One polygon layer.")] = None,
    season: Annotated[
        str | None, typer.Option(metavar="MM-DD/MM-DD", help="Days of the year to compare.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Ecological zone: zone/continent/origin[/type].")
    ] = None,
    methodology: Annotated[str, typer.Option(help="Methodology id.")] = "stock-difference",
    seed: Annotated[
        int, typer.Option(parser=_whole, metavar="N", help="Seed of everything drawn at random.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the evidence bundle.", show_default=False)
    ] = None,
    json_to: Annotated[
        str, typer.Option("--json", metavar="FILE|-", help="The result; - is stdout.")
    ] = "-",
) -> None:
    """Estimate what an area removed: evidence bundle and one JSON document (amanar.estimate/1).

    Needs no database. Progress goes to stderr; stdout carries the document or nothing.
    """
    from geo.estimate import archive_inputs, finish_estimate, plan_estimate  # noqa: PLC0415
    from geo.estimate_plan import plan_essence  # noqa: PLC0415
    from geo.request import EstimateRequest  # noqa: PLC0415

    request = EstimateRequest(
        boundary=boundary, catalog=catalog, collection=collection, start=start, end=end,
        project=project, sensor=sensor, plots=plots, donor_pool=donor_pool, season=season,
        zone=zone, methodology=methodology, seed=seed,
    )  # fmt: skip
    evidence = out or Path("evidence")
    _require_outside(out, json_to)
    _require_room_for("--out", evidence, folder=evidence)
    if json_to != "-":
        _require_room_for("--json", Path(json_to), folder=Path(json_to).parent)
    plan = plan_estimate(request, progress=_say)
    # asked otherwise, the same place and period goes into another folder; asked again, the same
    directory = out or evidence / f"{request.name}_{plan_essence(plan)[-8:]}"
    _require_outside(directory, json_to)
    archive_inputs(plan, directory, progress=_say)
    document = finish_estimate(plan, directory, progress=_say)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if json_to == "-":
        sys.stdout.write(text)
    else:
        Path(json_to).write_text(text, encoding="utf-8")
    _say(f"Evidence in {directory}.")


def _require_outside(directory: Path | None, json_to: str) -> None:
    """Refuse a result among the evidence: what lies there is what was computed, checksummed."""
    if directory is None or json_to == "-":
        return
    if Path(json_to).resolve().is_relative_to(directory.resolve()):
        problem = f"lies below the evidence of --out {directory}"
        fix = "Name a file elsewhere; the evidence holds the same as estimate.json."
        raise BadInput(what=f"--json {json_to}", problem=problem, fix=fix)


def _require_room_for(option: str, path: Path, *, folder: Path) -> None:
    """Find out before the work, not after it, that its result cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if path != folder and path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        fix = "Name a place where you may write."
        raise BadInput(what=f"{option} {path}", problem=problem, fix=fix) from error


@app.command()
def work(
    *, once: Annotated[bool, typer.Option("--once", help="End when no request waits.")] = False
) -> None:
    """Take monitoring requests and measure them, under a Prefect server of our own."""
    import signal  # noqa: PLC0415

    from flows.worker import work as take_requests  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))  # end Prefect in order
    take_requests(_database(), once=once, progress=_say)


# --- checking ------------------------------------------------------------------------------------


@app.command()
def replay(
    evidence_dir: Path,
    catalog: Annotated[
        str | None, typer.Option(help="Fetch the pixels anew from here, not from the archive.")
    ] = None,
) -> int:
    """Recompute an estimate from its evidence; ends with 3 and a list where anything differs."""
    from geo.replay import replay as recompute  # noqa: PLC0415

    found = recompute(evidence_dir, catalog=catalog)
    for line in (*found.differences, *found.notes):
        print(line)
    print(f"{found.source}: {found.sentence}")
    if found.identical:
        print(f"Identical, {found.digest}")
        return OK
    return _leave(f"{evidence_dir} differs in {len(found.differences)} places.", DIFFERS)


@app.command()
def verify_proof(
    certificate: Path,
    key: Annotated[
        str | None, typer.Option(metavar="FILE|FINGERPRINT", help="The signer that you trust.")
    ] = None,
) -> int:
    """Check a certificate offline: 0 proven, 3 signer not pinned, 4 does not hold, 2 unreadable."""
    from registry.domain.proof import main as check  # noqa: PLC0415

    return check([str(certificate), *([] if key is None else ["--key", key])])


# --- the registry's processes --------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
) -> None:
    """Serve the API and the pages, and do what falls due: seal the log every few seconds."""
    import threading  # noqa: PLC0415

    import uvicorn  # noqa: PLC0415

    from api.main import create_app  # noqa: PLC0415
    from flows.processes import listen  # noqa: PLC0415

    settings = _database()
    listening = listen(host or settings.host, settings.port if port is None else port)
    address = "http://{}:{}".format(*listening.getsockname())
    threading.Thread(target=_keep_jobs_done, args=(settings,), daemon=True).start()
    _say(f"Amanar serves at {address}")
    config = uvicorn.Config(create_app(settings), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def _keep_jobs_done(settings: "Settings") -> None:
    """Work on the queue as long as the process lives, also after the database was away."""
    import logging  # noqa: PLC0415
    import time  # noqa: PLC0415

    from registry.jobs import run_worker  # noqa: PLC0415

    while True:
        try:
            run_worker(settings, install_signal_handlers=False)
        except Exception:
            logging.getLogger("amanar.jobs").exception("the jobs stopped; again in 5 s")
        time.sleep(5)


@app.command()
def demo(
    *,
    serve_on: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve at the end.")] = True,
) -> None:
    """Tell the whole story in a sandbox: measure, verify, mint, sell, retire, prove, refuse."""
    from flows.demo import run_demo  # noqa: PLC0415

    run_demo(_database(), serve=serve_on, progress=_say)


@app.command()
def seal() -> None:
    """Seal the log: order what was recorded and sign a checkpoint."""
    from registry.jobs import seal_now  # noqa: PLC0415

    sealed = seal_now(_database())
    print(f"sealed: {sealed.tree_size} leaves" if sealed else "nothing new to seal")


# --- the database --------------------------------------------------------------------------------


@database.command()
def up() -> None:
    """Start this clone's PostgreSQL and bring its schema up to date; safe to repeat."""
    settings = _database()
    print(settings.url())


@database.command()
def down() -> None:
    """Stop this clone's PostgreSQL; what was committed stays."""
    from registry.cluster import stop_cluster  # noqa: PLC0415

    stopped = stop_cluster(_settings().state_dir / "pg")
    _say("The database is stopped." if stopped else "The database was not running.")


@database.command()
def status() -> int:
    """Say whether this clone's PostgreSQL runs and where its files are; 0 if it runs, else 3."""
    from registry.cluster import cluster_status  # noqa: PLC0415

    found = cluster_status(_settings().state_dir / "pg")
    if found.state == "absent":
        print(f'absent: nothing in {found.home}; "amanar db up" makes it')
        return DIFFERS
    size_mb = (found.disk_bytes or 0) // 10**6
    what = f"PostgreSQL {found.major_version}, {size_mb} MB in {found.home}"
    if found.state == "stopped":
        print(f'stopped: {what}; "amanar db up" starts it')
        return DIFFERS
    print(f"running: {what}, process {found.pid}")
    return OK


@database.command()
def reset(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> int:
    """Delete this clone's PostgreSQL with everything in it. There is no way back."""
    from registry.cluster import reset_cluster  # noqa: PLC0415

    directory = _settings().state_dir / "pg"
    if not yes:
        if not sys.stdin.isatty():
            return _leave(f"db reset deletes all of {directory}: say --yes.", BAD_INPUT)
        typer.confirm(f"Delete everything in {directory}?", abort=True)
    reset_cluster(directory)
    _say("The database is gone.")
    return OK


@database.command()
def migrate() -> None:
    """Bring the schema of the database up to date, as its owner."""
    from registry.cluster import with_database  # noqa: PLC0415

    _migrate(with_database(_settings()))


if __name__ == "__main__":
    main()
