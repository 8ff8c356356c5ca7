"""One real estimate, made once for all tests of this folder: RO-STABLE, first period."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from geo.estimate import EstimateRequest, run_estimate

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECTS = Path("data/samples/projects")
CATALOG = "data/samples/catalog/catalog.json"


@dataclass(frozen=True)
class Bundle:
    """A finished bundle, the document it gave and what was said on the way."""

    folder: Path
    document: dict[str, Any]
    said: tuple[str, ...]


def ask(code: str = "RO-STABLE", **changes: Any) -> EstimateRequest:
    """Ask for a sample area's first period; changes go on top."""
    peru = code.startswith("PE")
    options: dict[str, Any] = {
        "boundary": PROJECTS / f"{code}.geojson",
        "catalog": CATALOG,
        "collection": "landsat-epochs-pucallpa" if peru else "s2-l2a-romania",
        "start": "2010-01-01" if peru else "2016-01-01",
        "end": "2018-12-31" if code == "RO-STABLE" else "2020-12-31",
        "project": PROJECTS / f"{'RO-STABLE-1' if code == 'RO-STABLE' else code}.json",
        "plots": PROJECTS / f"{code}-plots.csv",
        "season": None if peru else "06-01/08-31",
    }
    return EstimateRequest(**(options | changes))


@pytest.fixture(scope="session")
def request_for() -> Callable[..., EstimateRequest]:
    return ask


@pytest.fixture(scope="session")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "RO-STABLE-1"
    said: list[str] = []
    document = run_estimate(ask(), folder, progress=said.append)
    return Bundle(folder, document, tuple(said))


@pytest.fixture(scope="session")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same area over two summers: quicker to replay."""
    folder = tmp_path_factory.mktemp("bundles") / "RO-STABLE-brief"
    said: list[str] = []
    document = run_estimate(ask(end="2017-12-31"), folder, progress=said.append)
    return Bundle(folder, document, tuple(said))


@pytest.fixture
def copy(stable: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may spoil."""
    return Path(shutil.copytree(stable.folder, tmp_path / "bundle"))


@pytest.fixture
def brief_copy(brief: Bundle, tmp_path: Path) -> Path:
    """A quick bundle that a test may spoil."""
    return Path(shutil.copytree(brief.folder, tmp_path / "bundle"))
