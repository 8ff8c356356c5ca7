"""Artefacts: present means finished, made once, continued after a kill."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.storage import ArtefactStore, key_of, path_of
from registry.settings import ROOT

if TYPE_CHECKING:
    from pathlib import Path

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).filter(lambda value: "inf" not in repr(value))


@given(st.dictionaries(st.text(), json_values, min_size=1))
def test_a_key_does_not_depend_on_the_order_of_its_inputs(inputs: dict[str, object]) -> None:
    turned = dict(reversed(list(inputs.items())))
    assert key_of("plan", inputs) == key_of("plan", turned)


def test_a_key_depends_on_kind_and_on_every_input() -> None:
    keys = {
        key_of("plan", {"a": 1}),
        key_of("inputs", {"a": 1}),
        key_of("plan", {"a": 2}),
        key_of("plan", {"a": 1, "b": None}),
    }
    assert len(keys) == 4


def test_a_number_that_is_none_has_no_key() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        key_of("plan", {"a": float("nan")})


def test_a_finished_artefact_is_not_made_again(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path / "store with space")
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append("once")
        (folder / "value").write_text("42")

    uris = [store.make("plan-1", make) for _ in range(2)]
    assert uris[0] == uris[1]
    assert made == ["once"]
    assert (path_of(uris[0]) / "value").read_text() == "42"


def test_a_failed_maker_leaves_its_work_for_the_next_and_no_artefact(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path)

    def break_off(folder: Path) -> None:
        (folder / "half").write_text("kept")
        message = "the line was cut"
        raise ConnectionError(message)

    with pytest.raises(ConnectionError):
        store.make("inputs-1", break_off)
    assert not store.is_done("inputs-1")
    seen: list[bool] = []
    store.make("inputs-1", lambda folder: seen.append((folder / "half").exists()))
    assert seen == [True]
    assert store.is_done("inputs-1")


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path)
    made: list[float] = []

    def make(folder: Path) -> None:
        made.append(time.monotonic())
        time.sleep(0.1)
        (folder / "value").touch()

    with ThreadPoolExecutor(4) as pool:
        uris = set(pool.map(lambda _: store.make("evidence-1", make), range(4)))
    assert (len(uris), len(made)) == (1, 1)


def test_a_killed_maker_frees_the_artefact_and_leaves_none(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from flows.storage import ArtefactStore\n"
        "def make(folder):\n"
        "    (folder / 'half').touch(); print('began', flush=True); time.sleep(60)\n"
        "ArtefactStore(pathlib.Path(sys.argv[1])).make('inputs-1', make)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "began\n"
        maker.kill()
    store = ArtefactStore(tmp_path)
    assert not store.is_done("inputs-1")
    seen: list[bool] = []
    store.make("inputs-1", lambda folder: seen.append((folder / "half").exists()))
    assert seen == [True]


def test_a_forgotten_artefact_is_made_again(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path)
    made: list[str] = []
    for _ in range(2):
        store.make("plan-1", lambda folder: made.append(folder.name))
        store.forget("plan-1")
    assert len(made) == 2
    assert not store.is_done("plan-1")
