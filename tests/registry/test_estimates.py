"""An estimate is believed only as far as it fits what was asked for."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from registry.domain.estimates import Asked, estimate_sha256, require_match, value_at
from registry.errors import ReportMismatch

ASKED = Asked(
    first_day=date(2016, 1, 1),
    last_day=date(2018, 12, 31),
    t0="2016-01-01",
    methodology="stock-difference",
    area_ha=100.0,
    previous_net_tco2e=50.0,
)


def estimate(**parts: Any) -> dict[str, Any]:
    return {
        "schema": "amanar.estimate/1",
        "period": {"start": "2016-01-01", "end": "2018-12-31", "t0": "2016-01-01"},
        "methodology": {"id": "stock-difference"},
        "boundary": {"area_ha": 100.0},
        "removals_tco2e": {"previous": 50.0},
    } | parts


def test_a_fitting_estimate_is_let_through() -> None:
    require_match(estimate(), ASKED)


@pytest.mark.parametrize("area_ha", [99.95, 100.05])
def test_hectares_may_differ_by_less_than_a_thousandth(area_ha: float) -> None:
    require_match(estimate(boundary={"area_ha": area_ha}), ASKED)


@pytest.mark.parametrize("area_ha", [99.89, 100.11, "100", True, None, float("nan"), float("inf")])
def test_other_hectares_are_another_area(area_ha: object) -> None:
    with pytest.raises(ReportMismatch, match=r"The estimate's boundary\.area_ha is"):
        require_match(estimate(boundary={"area_ha": area_ha}), ASKED)


def test_nine_digits_of_what_was_credited_before_are_enough() -> None:
    asked = Asked(
        first_day=ASKED.first_day,
        last_day=ASKED.last_day,
        t0=ASKED.t0,
        methodology=ASKED.methodology,
        area_ha=100.0,
        previous_net_tco2e=12345.678901234,
    )
    require_match(estimate(removals_tco2e={"previous": 12345.6789}), asked)


@pytest.mark.parametrize("path", ["a", "a.b.c", "c", "a.d", "e.b"])
def test_an_absent_value_is_named(path: str) -> None:
    document = {"a": {"b": 1}, "e": None}
    if path == "a":
        assert value_at(document, path) == {"b": 1}
        return
    with pytest.raises(ReportMismatch, match="is absent"):
        value_at(document, path)


@pytest.mark.parametrize(
    ("written", "read"),
    [({"b": 1.0, "a": -0.0}, {"a": 0, "b": 1}), ({"a": [1e22]}, {"a": [10**22]})],
)
def test_the_hash_does_not_see_how_a_database_spells_a_number(
    written: dict[str, Any], read: dict[str, Any]
) -> None:
    assert estimate_sha256(written) == estimate_sha256(read)


def test_the_hash_sees_every_digit_and_the_difference_of_one_and_true() -> None:
    values: list[Any] = [1, True, "1", 1.5, 1.50000001, None, []]
    hashes = {estimate_sha256({"a": value}) for value in values}
    assert len(hashes) == 7
