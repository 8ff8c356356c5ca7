"""Periods follow each other, on terms and land that the first one fixed; on a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from registry.db import session_scope
from registry.domain.ids import new_id
from registry.errors import (
    InvalidValue,
    PeriodGap,
    PeriodOverlap,
    PreviousChanged,
    ReportUndecided,
    RequestOpen,
    TermsChanged,
)
from registry.services import audit, monitoring, projects
from registry.tables.base import now
from registry.tables.monitoring import MonitoringReport, MonitoringRequest, Review, VerifiedPeriod
from registry.tables.projects import Project
from tests.world import World, square

if TYPE_CHECKING:
    from sqlmodel import Session

    from registry.domain.roles import Actor
    from registry.settings import Settings
    from registry.tables.projects import Area


@pytest.fixture
def developer(world: World) -> Actor:
    return world.developer()


@pytest.fixture
def area(world: World, developer: Actor) -> Area:
    return world.land(developer, code="RO-LAND")


@pytest.fixture
def request_(world: World, developer: Actor, area: Area) -> MonitoringRequest:
    return world.request(developer, area)


def approve(settings: Settings, verifier: Actor, report: MonitoringReport) -> None:
    """Approve the way `verification.decide` does, without minting."""
    with session_scope(settings) as session:
        reviewed = session.get_one(MonitoringReport, report.id)
        session.add(
            Review(
                report_id=report.id,
                report_kind=report.kind,
                verifier_id=verifier.person(),
                leased_until=now(),
                decision="approve",
                reasons="Plots and pixels agree.",
                decided_at=now(),
            )
        )
        session.flush()
        monitoring.record_verified_period(session, report=reviewed)
        reviewed.state = "approved"
        audit.record(
            session,
            actor=verifier,
            action="verification:report:approve",
            subject=f"monitoring_report:{report.id}",
            content={},
        )


# --- the chain of periods -----------------------------------------------------------------------


@pytest.fixture
def approved(world: World, settings: Settings, request_: MonitoringRequest) -> MonitoringReport:
    """Approve 2016 to 2018 with 100 tCO2e."""
    report = world.report(request_, net=100.0)
    approve(settings, world.verifier(), report)
    return report


def test_the_next_period_carries_on_from_the_approved_one(
    world: World, developer: Actor, area: Area, approved: MonitoringReport
) -> None:
    assert approved.state == "queued"  # as it was when it was filed
    following = world.request(developer, area, start=date(2019, 1, 1), end=date(2020, 12, 31))
    assert following.parameters == {
        "t0": "2016-01-01",
        "previous_net_tco2e": 100.0,
        "previous_buffer_base_tco2e": 100.0,
    }


@pytest.mark.usefixtures("approved")
def test_a_gap_names_both_periods_and_the_day(world: World, developer: Actor, area: Area) -> None:
    with pytest.raises(
        PeriodGap,
        match="2019-02-01 to 2020-12-31 leaves a gap after the verified period ending 2018-12-31",
    ) as refused:
        world.request(developer, area, start=date(2019, 2, 1), end=date(2020, 12, 31))
    assert refused.value.expected_start == date(2019, 1, 1)


@pytest.mark.usefixtures("approved")
@pytest.mark.parametrize("start", [date(2018, 12, 31), date(2016, 1, 1), date(2010, 1, 1)])
def test_an_overlap_names_both_periods(
    world: World, developer: Actor, area: Area, start: date
) -> None:
    with pytest.raises(
        PeriodOverlap, match=f"{start} to 2020-12-31 overlaps the verified period 2016-01-01"
    ):
        world.request(developer, area, start=start, end=date(2020, 12, 31))


@pytest.mark.usefixtures("approved")
@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("t0", "2019-01-01", "2016-01-01"),
        ("estimator", "greg", "mean"),
        ("root_shoot", 0.9, "none"),
        ("zone", "tropical/americas/natural", "none"),
        ("plot_design", "purposive", "none"),
    ],
)
def test_the_first_verified_period_fixes_the_terms(
    world: World, developer: Actor, area: Area, name: str, value: Any, known: str
) -> None:
    with pytest.raises(InvalidValue, match=f"{name}: {value} is given, the register knows {known}"):
        world.request(
            developer,
            area,
            start=date(2019, 1, 1),
            end=date(2020, 12, 31),
            parameters={name: value},
        )


@pytest.mark.usefixtures("approved")
def test_the_first_verified_period_fixes_the_methodology(
    world: World, developer: Actor, area: Area
) -> None:
    days = {"start": date(2019, 1, 1), "end": date(2020, 12, 31)}
    with pytest.raises(InvalidValue, match=r"vm0047-1\.1 is given, the register knows stock"):
        world.request(developer, area, methodology="after-vm0047-1.1", **days)
    world.request(developer, area, **days, parameters={"estimator": "mean"})


def test_terms_of_the_first_period_are_filled_in_later(
    world: World, settings: Settings, developer: Actor, area: Area
) -> None:
    terms = {"estimator": "difference", "root_shoot": 0.3, "plot_design": "stratified"}
    first = world.request(developer, area, parameters=terms, methodology="after-vm0047-1.1")
    approve(settings, world.verifier(), world.report(first))
    later = world.request(developer, area, start=date(2019, 1, 1), end=date(2020, 12, 31))
    assert {name: later.parameters[name] for name in terms} == terms
    assert later.methodology == "after-vm0047-1.1"


def test_a_report_with_another_t0_than_the_first_approved_is_not_approved(
    world: World, settings: Settings, developer: Actor, area: Area, request_: MonitoringRequest
) -> None:
    first = world.report(request_, net=-20.0)
    second = world.report(
        world.request(developer, area, start=date(2019, 1, 1), end=date(2020, 12, 31))
    )
    verifier = world.verifier()
    approve(settings, verifier, first)
    with pytest.raises(TermsChanged, match=r"t0 is 2019-01-01; .* fixes 2016-01-01"):
        approve(settings, verifier, second)


# --- boundaries and periods ---------------------------------------------------------------------


def revise(
    settings: Settings, developer: Actor, area: Area, day: date, *, side: float = 0.01
) -> Area:
    west, south, _, _ = projects.boundary_of(area).bounds
    with session_scope(settings) as session:
        return projects.revise_area(
            session,
            actor=developer,
            command_id=new_id(),
            area_id=area.id,
            geometry=square(west, south, side=side),
            first_day=day,
        )


@pytest.mark.usefixtures("approved")
def test_a_boundary_is_revised_after_the_verified_periods_only(
    settings: Settings, developer: Actor, area: Area
) -> None:
    with pytest.raises(InvalidValue, match="2018-12-31 is not after the verified period ending"):
        revise(settings, developer, area, date(2018, 12, 31))
    revise(settings, developer, area, date(2019, 1, 1))


@pytest.mark.parametrize("day", [date(2015, 1, 1), date(2016, 1, 1), date(2018, 12, 31)])
def test_a_boundary_is_not_revised_under_a_request_or_an_undecided_report(
    world: World,
    settings: Settings,
    developer: Actor,
    area: Area,
    request_: MonitoringRequest,
    day: date,
) -> None:
    with pytest.raises(RequestOpen):
        revise(settings, developer, area, day)
    world.report(request_)
    with pytest.raises(ReportUndecided):
        revise(settings, developer, area, day)
    revise(settings, developer, area, date(2019, 1, 1))


def test_a_report_outside_its_boundarys_time_is_not_approved(
    world: World,
    settings: Settings,
    developer: Actor,
    area: Area,
    request_: MonitoringRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = world.report(request_)
    monkeypatch.setattr(projects, "require_free", lambda *_, **__: None)
    revise(settings, developer, area, date(2017, 1, 1))
    with pytest.raises(InvalidValue, match="2016-01-01 to 2018-12-31 is not inside the time"):
        approve(settings, world.verifier(), report)


@pytest.mark.usefixtures("approved")
def test_land_that_joined_after_t0_is_not_counted_from_t0(
    world: World, settings: Settings, developer: Actor, area: Area
) -> None:
    larger = revise(settings, developer, area, date(2019, 1, 1), side=0.011)
    with pytest.raises(InvalidValue, match="it is 2016-01-01, and the area had less land"):
        world.request(developer, larger, start=date(2019, 1, 1), end=date(2020, 12, 31))


@pytest.mark.usefixtures("approved")
def test_a_boundary_that_shrank_is_measured_on(
    world: World, settings: Settings, developer: Actor, area: Area
) -> None:
    smaller = revise(settings, developer, area, date(2019, 1, 1), side=0.008)
    later = world.request(developer, smaller, start=date(2019, 1, 1), end=date(2020, 12, 31))
    assert later.parameters["t0"] == "2016-01-01"


@pytest.mark.usefixtures("approved")
def test_other_previous_tonnes_than_the_registers_are_refused(
    world: World, developer: Actor, area: Area
) -> None:
    with pytest.raises(InvalidValue, match="10 is given, the register knows 100"):
        world.request(
            developer,
            area,
            start=date(2019, 1, 1),
            end=date(2020, 12, 31),
            parameters={"previous_net_tco2e": 10},
        )


def test_what_was_lost_and_grew_again_is_not_credited_twice(
    world: World,
    settings: Settings,
    developer: Actor,
    area: Area,
    approved: MonitoringReport,
) -> None:
    assert approved.estimate["removals_tco2e"]["net"] == 100.0
    second = world.request(developer, area, start=date(2019, 1, 1), end=date(2019, 12, 31))
    approve(settings, world.verifier(), world.report(second, net=80.0))
    third = world.request(developer, area, start=date(2020, 1, 1), end=date(2020, 12, 31))
    assert third.parameters["previous_net_tco2e"] == 100.0


def test_a_loss_in_the_first_period_has_to_grow_again_uncredited(
    world: World, settings: Settings, developer: Actor, area: Area, request_: MonitoringRequest
) -> None:
    approve(settings, world.verifier(), world.report(request_, net=-20.0))
    second = world.request(developer, area, start=date(2019, 1, 1), end=date(2019, 12, 31))
    assert second.parameters["previous_net_tco2e"] == 0


def test_a_report_measured_before_another_was_approved_is_not_approved(
    world: World, settings: Settings, developer: Actor, area: Area, request_: MonitoringRequest
) -> None:
    first = world.report(request_)
    second = world.report(
        world.request(developer, area, start=date(2019, 1, 1), end=date(2020, 12, 31))
    )
    verifier = world.verifier()
    approve(settings, verifier, first)
    with pytest.raises(PreviousChanged, match="0 tCO2e credited before; the last approved one"):
        approve(settings, verifier, second)


def test_of_two_reports_of_the_same_days_approved_at_once_one_wins(
    world: World,
    settings: Settings,
    session: Session,
    developer: Actor,
    area: Area,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitoring, "require_free", lambda *_, **__: None)
    reports = [world.report(world.request(developer, area)) for _ in range(2)]
    verifier, ready = world.verifier(), Barrier(2)

    def press(report: MonitoringReport) -> str:
        ready.wait(5)
        try:
            approve(settings, verifier, report)
        except PeriodOverlap:
            return "refused"
        return "approved"

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(press, reports)) == ["approved", "refused"]
    assert len(session.exec(select(VerifiedPeriod)).all()) == 1


def test_another_area_of_the_project_has_a_chain_of_its_own(
    world: World,
    session: Session,
    developer: Actor,
    area: Area,
    approved: MonitoringReport,
) -> None:
    project = session.get_one(Project, approved.project_id)
    other = world.area(developer, project, square(40, 45))
    assert other.lineage != area.lineage
    world.request(developer, other)
