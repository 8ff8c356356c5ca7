"""Methodologies are frozen rows; only one can be chosen so far."""

from __future__ import annotations

import dataclasses

import pytest

from geo.baseline import DEFAULT_METHODOLOGY, METHODOLOGIES, declared_zero, methodology
from geo.errors import BadInput


def test_the_default_can_be_chosen() -> None:
    assert methodology(DEFAULT_METHODOLOGY).baseline == "declared-zero"


@pytest.mark.parametrize("name", [name for name in METHODOLOGIES if name.startswith("after-")])
def test_those_after_a_programme_say_when_they_come(name: str) -> None:
    with pytest.raises(BadInput, match="comes with the measurement work"):
        methodology(name)


def test_an_unknown_id_lists_the_known() -> None:
    with pytest.raises(BadInput, match=r"'vm0047-1\.1' is not known. Take stock-difference"):
        methodology("vm0047-1.1")


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        methodology(DEFAULT_METHODOLOGY).deduction = "none"  # type: ignore[misc]


def test_a_declared_baseline_says_that_it_is_declared() -> None:
    baseline = declared_zero(donor_pool="pool.geojson")
    assert (baseline.method, baseline.agb_change_t) == ("declared-zero", 0.0)
    assert "not measured" in baseline.note
    assert "not used" in baseline.note
