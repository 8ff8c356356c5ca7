"""The removals block: its identities, and what it never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.sequestration import Declared, deduction_share, removals
from geo.types import Estimate

_tonnes = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
_declared = st.builds(
    Declared,
    previous_net=_tonnes,
    previous_buffer_base=_tonnes,
    project_emissions=st.floats(0, 1e4),
    leakage=st.floats(0, 1e4),
    buffer_percent=st.floats(12, 100),
)


def change(mean: float, se: float = 0.0, df: float = 7) -> Estimate:
    return Estimate(mean, se, df, "tCO2e")


@given(_tonnes, st.floats(0, 1e5), _declared)
def test_the_block_adds_up(mean: float, se: float, declared: Declared) -> None:
    block = removals(change(mean, se), baseline=0.0, declared=declared)
    assert block.gross == mean
    assert block.net is not None
    assert block.uncertainty_deduction is not None
    assert block.buffer is not None
    assert block.net == pytest.approx(
        mean - block.uncertainty_deduction - declared.project_emissions - declared.leakage, abs=1e-6
    )
    assert block.creditable == pytest.approx(
        max(0.0, block.net - declared.previous_net - block.buffer)
    )


@given(_tonnes, st.floats(0, 1e6), _declared)
def test_nothing_is_ever_added(mean: float, se: float, declared: Declared) -> None:
    block = removals(change(mean, se), baseline=0.0, declared=declared)
    assert block.uncertainty_deduction is not None
    assert block.uncertainty_deduction >= 0
    assert block.buffer is not None
    assert block.buffer >= 0
    assert block.creditable is not None
    assert 0 <= block.creditable <= max(0.0, mean - declared.previous_net)


@given(st.floats(-1e6, 0), st.floats(0, 1e6))
def test_a_loss_is_never_discounted(mean: float, se: float) -> None:
    block = removals(change(mean, se), baseline=0.0, declared=Declared())
    assert block.uncertainty_deduction == 0
    assert block.net == mean
    assert block.creditable == 0


def test_above_a_hundred_percent_uncertainty_nothing_is_credited() -> None:
    block = removals(change(100, 60), baseline=0.0, declared=Declared())
    assert block.relative_half_width
    assert block.relative_half_width > 1
    assert block.net == 0
    assert block.creditable == 0


@given(st.floats(0, 5))
def test_more_uncertainty_never_earns_more(width: float) -> None:
    assert deduction_share(width) <= deduction_share(width + 0.01) <= 1


def test_unknown_stocks_leave_null_and_never_zero() -> None:
    block = removals(None, baseline=0.0, declared=Declared(leakage=5))
    unknown = (block.gross, block.net, block.buffer, block.creditable, block.uncertainty_deduction)
    assert unknown == (None,) * 5
    assert (block.baseline, block.leakage, block.previous) == (0, 5, 0)


def test_a_blocking_problem_leaves_the_numbers_and_credits_nothing() -> None:
    block = removals(change(100), baseline=0.0, declared=Declared(), blocked=True)
    assert block.net == 100
    assert block.creditable == 0


def test_a_second_period_credits_the_increment() -> None:
    """100 then 160: buffer 12 then 7.2 (12 % of 60), creditable 88 then 52.8."""
    first = removals(change(100), baseline=0.0, declared=Declared())
    assert first.net is not None
    assert first.buffer_base is not None
    second = removals(
        change(160),
        baseline=0.0,
        declared=Declared(previous_net=first.net, previous_buffer_base=first.buffer_base),
    )
    assert [first.buffer, first.creditable] == pytest.approx([12, 88])
    assert [second.buffer, second.creditable] == pytest.approx([7.2, 52.8])


def test_a_baseline_is_taken_off_before_the_uncertainty() -> None:
    block = removals(change(100, 5), baseline=40.0, declared=Declared())
    assert block.relative_half_width == pytest.approx(1.894579 * 5 / 60, abs=1e-6)
    assert block.buffer_base == pytest.approx(
        60 * (1 - deduction_share(1.894579 * 5 / 60)), abs=1e-4
    )
