"""The command line's contract with scripts: options, streams, exit codes, one sentence."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

import amanar
from flows.demo import NotInProduction, run_demo
from registry.settings import ROOT, Settings

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = ROOT / "data" / "samples"
CATALOG = str(SAMPLES / "catalog" / "catalog.json")
BOUNDARY = str(SAMPLES / "projects" / "PE-CONVERTED.geojson")
PLOTS = str(SAMPLES / "projects" / "PE-CONVERTED-plots.csv")
ASKED = {
    "--boundary": BOUNDARY,
    "--catalog": CATALOG,
    "--collection": "landsat-epochs-pucallpa",
    "--start": "2010-01-01",
    "--end": "2020-12-31",
    "--project": str(SAMPLES / "projects" / "PE-CONVERTED.json"),
    "--plots": PLOTS,
}
HEAVY = {
    "numpy",
    "xarray",
    "rasterio",
    "sqlalchemy",
    "prefect",
    "matplotlib",
    "fastapi",
    "pydantic",
}
HELP_S = 0.5


def words(changed: dict[str, str | None] | None = None) -> list[str]:
    """Write the sample estimate's command line with some options changed or (None) left out."""
    options = ASKED | (changed or {})
    return ["estimate", *(w for name, value in options.items() if value for w in (name, value))]


def amanar_process(*given: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "amanar.py"), *given]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of the sample estimate."""
    out = tmp_path_factory.mktemp("estimate") / "bundle"
    assert amanar.run([*words(), "--out", str(out), "--json", str(out.parent / "said.json")]) == 0
    return out


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the evidence to tamper with."""
    shutil.copytree(bundle, tmp_path / "copy")
    return tmp_path / "copy"


def test_help_answers_at_once() -> None:
    spent = []
    for _ in range(3):
        before = os.times()
        assert amanar_process("--help").returncode == 0
        after = os.times()
        spent.append(after.children_user - before.children_user)
    assert min(spent) <= HELP_S


def test_help_loads_nothing_heavy() -> None:
    program = f"import sys, amanar; amanar.run(['--help']); print({HEAVY!r} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stdout.splitlines()[-1] == "set()"


def test_every_command_of_the_contract_is_there() -> None:
    shown = amanar_process("--help").stdout + amanar_process("db", "--help").stdout
    wanted = "demo serve db estimate replay verify-proof work seal up down status reset migrate"
    assert [name for name in wanted.split() if f" {name} " not in shown] == []


def test_stdout_carries_the_document_and_stderr_the_progress(tmp_path: Path) -> None:
    ended = amanar_process(*words(), "--out", str(tmp_path / "out"), "--json", "-")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["schema"] == "amanar.estimate/1"
    assert "PE-CONVERTED" in ended.stderr or "scenes" in ended.stderr


def test_it_works_from_any_folder_and_with_relative_paths(tmp_path: Path) -> None:
    shutil.copy(BOUNDARY, tmp_path / "land.geojson")
    changed: dict[str, str | None] = {"--boundary": "land.geojson"}
    ended = amanar_process(*words(changed), "--out", "o", "--json", "said.json", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert json.loads((tmp_path / "said.json").read_text())["kind"] == "demonstration"


def test_the_document_has_what_the_contract_names(bundle: Path) -> None:
    document = json.loads((bundle.parent / "said.json").read_text())
    interval = {"mean", "se", "df", "ci90"}
    wanted: dict[str, Any] = {
        "methodology": {"id", "conformity", "unconfirmed"},
        "boundary": {"area_ha"},
        "agb_t_per_ha": {"start", "end", "change"},
        "agb_change_t": interval,
        "carbon": {"root_shoot", "carbon_fraction", "zone", "source"},
        "baseline": {"method", "agb_change_t"},
        "removals_tco2e": {
            "gross", "baseline", "uncertainty_deduction", "project_emissions", "leakage", "net",
            "previous", "buffer", "creditable",
        },
    }  # fmt: skip
    missing = {name: keys - set(document[name]) for name, keys in wanted.items()}
    assert {name: keys for name, keys in missing.items() if keys} == {}
    plain = {"kind", "environment", "method", "period", "observations", "quality", "provenance"}
    assert plain | {"digest"} <= set(document)
    assert all(interval <= set(document["agb_t_per_ha"][end]) for end in ("start", "end", "change"))


def test_an_estimate_that_credits_nothing_is_no_failure(bundle: Path) -> None:
    document = json.loads((bundle.parent / "said.json").read_text())
    blocking = [entry["code"] for entry in document["quality"] if entry["severity"] == "blocking"]
    assert "loss-detected" in blocking
    assert document["removals_tco2e"]["creditable"] == 0


def test_without_plots_stocks_and_credit_are_unknown_not_zero(tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    given = words({"--plots": None, "--project": None})
    assert amanar.run([*given, "--out", str(tmp_path / "out"), "--json", str(said)]) == 0
    document = json.loads(said.read_text())
    assert document["kind"] == "indicative"
    assert document["agb_t_per_ha"] == {"start": None, "end": None, "change": None}
    assert document["removals_tco2e"]["creditable"] is None


BAD: dict[str, tuple[dict[str, str | None], str]] = {
    "no such day": ({"--start": "2010-02-30"}, "2010-02-30"),
    "end before start": ({"--end": "2009-12-31"}, "2009-12-31"),
    "no such boundary": ({"--boundary": "nowhere.geojson"}, "nowhere.geojson"),
    "no such catalog": ({"--catalog": "nowhere.json"}, "nowhere.json"),
    "no such collection": ({"--collection": "sentinel-9"}, "sentinel-9"),
    "no such methodology": ({"--methodology": "vm9999"}, "vm9999"),
    "no such sensor": ({"--sensor": "kodak"}, "kodak"),
    "no such zone": ({"--zone": "moon"}, "moon"),
    "no such season": ({"--season": "13-01/14-01"}, "13-01/14-01"),
    "no such plots": ({"--plots": "nowhere.csv"}, "nowhere.csv"),
    "no such project": ({"--project": "nowhere.json"}, "nowhere.json"),
    "too few seasons": ({"--end": "2010-12-31"}, "2010"),
    "seed below zero": ({"--seed": "-1"}, "-1"),
    "seed that is no number": ({"--seed": "many"}, "many"),
    "option left out": ({"--collection": None}, "--collection"),
    "option unknown": ({"--colour": "green"}, "--colour"),
    "out is a file": ({"--out": BOUNDARY}, BOUNDARY),
    "json below a file": ({"--json": f"{BOUNDARY}/x.json"}, "x.json"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_ends_with_2_and_one_sentence_that_names_the_value(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, named = BAD[fault]
    out: dict[str, str | None] = {"--out": str(tmp_path / "out")}
    assert amanar.run(words(out | changed)) == 2
    said = capsys.readouterr()
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("amanar: ")
    assert named in last
    assert said.out == ""
    assert "Traceback" not in said.err


def test_a_fault_of_ours_ends_with_1_and_says_where_the_details_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "the roof came down"
        raise RuntimeError(message)

    monkeypatch.setattr("geo.estimate.plan_estimate", broken)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert amanar.run([*words(), "--out", str(tmp_path / "out")]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the roof came down" in last
    details = tmp_path / last.rsplit("/", 1)[1].rstrip(".")
    assert "Traceback" in details.read_text()


def test_a_replay_of_untouched_evidence_is_identical(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert amanar.run(["replay", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "from-archive" in said
    assert "not that it is right" in said


def test_a_replay_against_the_catalog_fetches_anew(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert amanar.run(["replay", str(bundle), "--catalog", CATALOG]) == 0
    assert "re-fetched" in capsys.readouterr().out


def test_a_changed_number_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copy / "estimate.json"
    document = json.loads(file.read_text())
    document["removals_tco2e"]["creditable"] = 1000.0
    file.write_text(json.dumps(document))
    assert amanar.run(["replay", str(copy)]) == 3
    assert "creditable" in capsys.readouterr().out


def test_a_changed_pixel_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with rasterio.open(copy / "ndvi_end.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        values = raster.read(1)
        row, column = (int(place) for place in np.argwhere(values != raster.nodata)[0])
        values[row, column] += 1
        raster.write(values, 1)
    assert amanar.run(["replay", str(copy)]) == 3
    assert "ndvi_end.tif" in capsys.readouterr().out


def test_evidence_that_is_not_there_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert amanar.run(["replay", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_certificate_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("no certificate")
    assert amanar.run(["verify-proof", str(tmp_path / "c.json")]) == 2
    assert amanar.run(["verify-proof", str(tmp_path / "nothing.json")]) == 2


def test_a_setting_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AMANAR_PORT", "harbour")
    assert amanar.run(["db", "status"]) == 1
    assert "AMANAR_PORT" in capsys.readouterr().err


def test_a_database_that_is_away_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AMANAR_DATABASE_URL", "postgresql://amanar_app@127.0.0.1:1/amanar")
    assert amanar.run(["db", "up"]) == 1
    assert "AMANAR_DATABASE_URL" in capsys.readouterr().err


@pytest.fixture
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A clone of one test's own, as far as the database is concerned."""
    for name in ("AMANAR_DATABASE_URL", "AMANAR_DATABASE_OWNER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AMANAR_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.database
@pytest.mark.usefixtures("own_state")
def test_the_database_goes_up_and_down_and_away(capsys: pytest.CaptureFixture[str]) -> None:
    commands = ("status", "up", "up", "migrate", "status", "down", "status", "down")
    try:
        codes = [amanar.run(["db", command]) for command in commands]
    finally:
        assert amanar.run(["db", "reset", "--yes"]) == 0
    assert codes == [3, 0, 0, 0, 0, 0, 3, 0]
    said = capsys.readouterr().out
    assert [word for word in ("absent", "running", "stopped") if word not in said] == []


@pytest.mark.usefixtures("own_state")
def test_a_reset_is_not_done_unasked() -> None:
    ended = amanar_process("db", "reset")
    assert ended.returncode == 2
    assert "--yes" in ended.stderr


def test_a_port_in_use_is_named_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    for name, value in settings.variables().items():
        monkeypatch.setenv(name, value)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert amanar.run(["serve", "--port", str(port)]) == 1
    assert f"port {port}: Address already in use" in capsys.readouterr().err


def test_the_demo_is_refused_in_production(settings: Settings) -> None:
    production = settings.model_copy(update={"environment": "production"})
    with pytest.raises(NotInProduction, match="sandbox only"):
        run_demo(production, serve=False, progress=print)
