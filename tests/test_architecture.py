"""The house style and the import contracts, checked on the files themselves."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("geo", "registry", "flows", "api")
GENERATED = {".venv", ".amanar", "migrations"}
"""Migrations are frozen history: they are not made shorter afterwards."""

LONGEST_FILE = 600
LONGEST_FUNCTION = 70
MOST_ARGUMENTS = 7
MOST_POSITIONAL = 2
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}

# Libraries that the brief names; earthengine-api is called from the Scale issue on.
NAMED_LIBRARIES = {
    "rasterio",
    "xarray",
    "dask",
    "geopandas",
    "shapely",
    "rioxarray",
    "prefect",
    "sqlmodel",
    "geoalchemy2",
    "fastapi",
}

# Contract -> (file, planted line): each line breaks exactly that contract.
PLANTED = {
    "rooms": ("geo/units.py", "import registry.errors"),
    "front-door": ("flows/__init__.py", "import amanar"),
    "api-no-rasters": ("api/__init__.py", "import xarray"),
    "api-geo-intake": ("api/__init__.py", "import geo.grid"),
    "geo-intake-light": ("geo/units.py", "import rasterio"),
    "geo-no-database": ("geo/units.py", "import sqlmodel"),
    "registry-no-pixels": ("registry/errors.py", "import xarray"),
    "domain-plain": ("registry/domain/states.py", "import sqlalchemy"),
    "geo-layers": ("geo/errors.py", "import geo.grid"),
    "registry-layers": ("registry/errors.py", "import registry.db"),
    "service-layers": ("registry/services/audit.py", "import registry.services.ledger"),
    "flow-layers": ("flows/storage.py", "import flows.handoff"),
}


def _sources(*, tests: bool) -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    found += [ROOT / "amanar.py"]
    if tests:
        found += list((ROOT / "tests").rglob("*.py"))
    return sorted(path for path in found if not GENERATED & set(path.parts))


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def _place(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def _decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def _is_front_door(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A command or a route: its parameters are the options that the world sends, by name."""
    front = ("app.command", "database.command", "router.", "fixture", "given", "parametrize")
    return any(word in _decorators(node) for word in front)


def _positional(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return [name for name in names if name not in {"self", "cls"}]


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_no_file_is_longer_than_600_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in _sources(tests=True)}
    assert {str(path): n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_longer_than_70_lines() -> None:
    long = [
        f"{_place(path, node)}: {node.end_lineno - node.lineno + 1}"
        for path in _sources(tests=True)
        for node in _functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_no_function_takes_more_than_7_arguments() -> None:
    many = [
        _place(path, node)
        for path in _sources(tests=False)
        for node in _functions(path)
        if len(_positional(node)) + len(node.args.kwonlyargs) > MOST_ARGUMENTS
        and not _is_front_door(node)
    ]
    assert many == []


def test_after_the_second_positional_argument_come_keywords() -> None:
    loose = [
        _place(path, node)
        for path in _sources(tests=False)
        for node in _functions(path)
        if len(_positional(node)) > MOST_POSITIONAL
        and not node.name.startswith("_")
        and not _is_front_door(node)
    ]
    assert loose == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in _sources(tests=True) if path.stem in FORBIDDEN_NAMES] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in _sources(tests=False)
        if ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in _sources(tests=False)
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }
    # It hands our environment on to the processes that it starts.
    assert readers <= {"flows/processes.py"}


def test_every_library_that_the_brief_names_is_called_in_production_code() -> None:
    imported = set().union(*(_imported(path) for path in _sources(tests=False)))
    assert imported >= NAMED_LIBRARIES


def test_the_readme_says_where_each_of_them_is_called() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for library in sorted(NAMED_LIBRARIES):
        row = re.search(rf"^\| {library} \| (.+) \|$", readme, re.MULTILINE)
        assert row, f"no row for {library}"
        files = re.findall(r"`([^`]+\.py)`", row[1])
        assert files
        assert [name for name in files if library not in _imported(ROOT / name)] == []


def test_every_setting_is_documented_in_the_readme() -> None:
    from registry.settings import Settings  # noqa: PLC0415 - only this test needs it

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {f"AMANAR_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if name not in readme} == set()


def test_tests_import_no_mocking_library() -> None:
    mocking = {"mock", "unittest", "pytest_mock"}
    assert [str(path) for path in _sources(tests=True) if mocking & _imported(path)] == []


@pytest.fixture(scope="module")
def copy_of_the_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("contracts")
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__", "static", "templates")
        shutil.copytree(ROOT / room, copy / room, ignore=ignored)
    for name in ("amanar.py", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def _check_contracts(tree: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    ended = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_import_contracts_hold(copy_of_the_tree: Path) -> None:
    code, report = _check_contracts(copy_of_the_tree)
    assert code == 0, report


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_wrong_import_breaks_its_contract(contract: str, copy_of_the_tree: Path) -> None:
    name, line = PLANTED[contract]
    file = copy_of_the_tree / name
    before = file.read_text()
    file.write_text(f"{before}\n{line}\n")
    try:
        code, report = _check_contracts(copy_of_the_tree)
    finally:
        file.write_text(before)
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    titles = {entry["id"]: entry["name"] for entry in config["tool"]["importlinter"]["contracts"]}
    assert code != 0
    assert f"{titles[contract]} BROKEN" in report


def test_every_contract_has_a_planted_import() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {entry["id"] for entry in config["tool"]["importlinter"]["contracts"]} == set(PLANTED)
