"""Requests, leases and reports on a real database: who works on what, and what fits together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import col, select

from registry.db import session_scope
from registry.domain.ids import new_id
from registry.domain.roles import Role
from registry.errors import (
    InvalidValue,
    LeaseLost,
    NotAllowed,
    NotFound,
    NotYours,
    PeriodGap,
    PeriodOverlap,
    PreviousChanged,
    ReportMismatch,
    ReportUndecided,
    RequestOpen,
    TermsChanged,
    WrongState,
)
from registry.services import audit, monitoring, projects
from registry.tables.accounts import Notification
from registry.tables.audit import AuditEvent
from registry.tables.base import now
from registry.tables.monitoring import MonitoringReport, MonitoringRequest, Review, VerifiedPeriod
from registry.tables.projects import Project
from tests.world import WORKER, World, estimate_of, square

if TYPE_CHECKING:
    from uuid import UUID

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


def take(settings: Settings, worker: str, lease_seconds: float = 60) -> MonitoringRequest | None:
    with session_scope(settings) as session:
        return monitoring.take_request(
            session, actor=WORKER, worker=worker, lease_seconds=lease_seconds
        )


def file(
    settings: Settings, request: MonitoringRequest, worker: str, estimate: dict[str, Any]
) -> MonitoringReport:
    with session_scope(settings) as session:
        return monitoring.submit_report(
            session,
            actor=WORKER,
            request_id=request.id,
            worker=worker,
            estimate=estimate,
            evidence_uri="sha256:" + "0" * 64,
        )


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


# --- asking -------------------------------------------------------------------------------------


def test_a_request_begins_queued_with_the_projects_methodology(
    request_: MonitoringRequest, developer: Actor
) -> None:
    assert (request_.state, request_.methodology) == ("queued", "stock-difference")
    assert request_.requested_by == developer.user_id
    assert (request_.period.lower, request_.period.upper) == (date(2016, 1, 1), date(2019, 1, 1))


def test_only_the_own_organisation_asks(world: World, area: Area) -> None:
    with pytest.raises(NotYours, match="RO-LAND"):
        world.request(world.developer(), area)
    with pytest.raises(NotAllowed):
        world.request(world.person(Role.BUYER), area)


def test_an_unknown_area_is_not_monitored(world: World, developer: Actor, area: Area) -> None:
    with pytest.raises(NotFound, match="no area"):
        world.request(developer, area, area_id=new_id())


def test_a_period_lies_inside_the_areas_time(world: World, developer: Actor) -> None:
    land = world.area(
        developer, world.project(developer), square(30, 45), first_day=date(2016, 1, 2)
    )
    with pytest.raises(InvalidValue, match="2016-01-01 to 2018-12-31 is not inside"):
        world.request(developer, land)


def test_a_period_ends_after_it_begins(world: World, developer: Actor, area: Area) -> None:
    with pytest.raises(InvalidValue, match="2015-12-31 is before 2016-01-01"):
        world.request(developer, area, end=date(2015, 12, 31))


def test_the_plots_must_be_known(world: World, developer: Actor, area: Area) -> None:
    with pytest.raises(NotFound, match="document"):
        world.request(developer, area, plots_sha256="ab" * 32)


def test_one_unfinished_request_covers_a_day(
    world: World, developer: Actor, area: Area, request_: MonitoringRequest
) -> None:
    with pytest.raises(RequestOpen, match=str(request_.id)):
        world.request(developer, area, start=date(2018, 12, 31), end=date(2020, 12, 31))


def test_of_two_who_ask_at_once_one_is_told_of_the_other(
    world: World, developer: Actor, area: Area
) -> None:
    ready = Barrier(2)

    def press(_: int) -> str:
        ready.wait(5)
        try:
            world.request(developer, area)
        except RequestOpen:
            return "refused"
        return "made"

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(press, range(2))) == ["made", "refused"]


def test_a_first_request_cannot_claim_what_was_credited_before(
    world: World, developer: Actor, area: Area
) -> None:
    with pytest.raises(InvalidValue, match="previous_net_tco2e: -50 is given"):
        world.request(developer, area, parameters={"previous_net_tco2e": -50})


def test_a_cancelled_request_makes_room(
    world: World, settings: Settings, developer: Actor, area: Area, request_: MonitoringRequest
) -> None:
    for _ in range(2):
        with session_scope(settings) as session:
            monitoring.cancel_request(session, actor=developer, request_id=request_.id)
    world.request(developer, area)


@pytest.mark.parametrize("t0", ["2010-01-01", "2016-01-02"])
def test_the_first_period_begins_at_t0(world: World, developer: Actor, area: Area, t0: str) -> None:
    with pytest.raises(InvalidValue, match=f"t0: {t0} is given, the register knows 2016-01-01"):
        world.request(developer, area, parameters={"t0": t0})
    world.request(developer, area, parameters={"t0": "2016-01-01"})


def test_a_period_is_asked_for_once_it_is_over(
    world: World, developer: Actor, area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "now", lambda: datetime(2018, 12, 30, 23, 59, tzinfo=UTC))
    with pytest.raises(InvalidValue, match="2018-12-31 is after today, 2018-12-30"):
        world.request(developer, area)
    monkeypatch.setattr(monitoring, "now", lambda: datetime(2018, 12, 31, tzinfo=UTC))
    world.request(developer, area)


def test_the_calendars_last_day_is_refused(world: World, developer: Actor, area: Area) -> None:
    with pytest.raises(InvalidValue, match="9999-12-31 is the calendar's last day"):
        world.request(developer, area, end=date.max)


def test_days_of_an_undecided_report_are_not_asked_for_again(
    world: World, developer: Actor, area: Area, request_: MonitoringRequest
) -> None:
    report = world.report(request_)
    with pytest.raises(ReportUndecided, match=f"{report.id} of 2016-01-01 to 2018-12-31"):
        world.request(developer, area)


# --- leases -------------------------------------------------------------------------------------


def test_a_request_is_taken_once(settings: Settings, request_: MonitoringRequest) -> None:
    taken = take(settings, "one")
    assert taken is not None
    assert (taken.id, taken.state, taken.lease_owner) == (request_.id, "running", "one")
    assert take(settings, "two") is None


def test_the_oldest_request_comes_first(
    world: World, settings: Settings, developer: Actor, request_: MonitoringRequest
) -> None:
    newer = world.request(developer, world.land(developer))
    assert [taken.id for taken in (take(settings, "a"), take(settings, "b")) if taken] == [
        request_.id,
        newer.id,
    ]


def test_two_workers_at_once_take_different_requests_and_do_not_wait(
    world: World, settings: Settings, developer: Actor, request_: MonitoringRequest
) -> None:
    newer = world.request(developer, world.land(developer))
    both_have_one = Barrier(2)

    def work(worker: str) -> UUID | None:
        with session_scope(settings) as session:
            taken = monitoring.take_request(session, actor=WORKER, worker=worker)
            both_have_one.wait(5)  # inside both transactions: neither waited for the other
            return taken.id if taken else None

    with ThreadPoolExecutor(2) as both:
        assert set(both.map(work, ("a", "b"))) == {request_.id, newer.id}


def test_only_the_system_takes_requests(
    session: Session, developer: Actor, request_: MonitoringRequest
) -> None:
    assert request_.state == "queued"
    with pytest.raises(NotAllowed, match="needs the role system"):
        monitoring.take_request(session, actor=developer, worker="me")


def test_an_expired_lease_is_taken_again_and_the_first_worker_is_told(
    settings: Settings, area: Area, request_: MonitoringRequest
) -> None:
    take(settings, "slow", lease_seconds=0)
    again = take(settings, "quick")
    assert again is not None
    assert (again.lease_owner, again.attempts) == ("quick", 2)
    with session_scope(settings) as session, pytest.raises(LeaseLost, match="slow does not hold"):
        monitoring.heartbeat(session, worker="slow", request_id=request_.id)
    with pytest.raises(LeaseLost):
        file(settings, request_, "slow", estimate_of(request_, area))
    file(settings, request_, "quick", estimate_of(request_, area))


def test_a_lease_that_ended_is_over_even_if_nobody_else_came(
    settings: Settings, area: Area, request_: MonitoringRequest
) -> None:
    take(settings, "slow", lease_seconds=0)
    with pytest.raises(LeaseLost, match="slow does not hold"):
        file(settings, request_, "slow", estimate_of(request_, area))
    assert take(settings, "slow") is not None
    file(settings, request_, "slow", estimate_of(request_, area))


def test_a_heartbeat_keeps_the_lease(settings: Settings, request_: MonitoringRequest) -> None:
    taken = take(settings, "one", lease_seconds=5)
    assert taken is not None
    with session_scope(settings) as session:
        monitoring.heartbeat(session, worker="one", request_id=request_.id, lease_seconds=500)
    with session_scope(settings) as session:
        kept = session.get_one(MonitoringRequest, request_.id)
        assert kept.leased_until is not None
        assert taken.leased_until is not None
        assert (kept.leased_until - taken.leased_until).total_seconds() > 400


def test_progress_is_seen_and_leaves_no_event(
    settings: Settings, session: Session, request_: MonitoringRequest
) -> None:
    take(settings, "one")
    events = len(session.exec(select(AuditEvent.seq)).all())
    with session_scope(settings) as own:
        monitoring.note_progress(
            own, worker="one", request_id=request_.id, message="reading scene 3 of 20"
        )
    assert session.get_one(MonitoringRequest, request_.id).progress == "reading scene 3 of 20"
    assert len(session.exec(select(AuditEvent.seq)).all()) == events


def test_a_request_that_five_workers_left_is_given_up(
    settings: Settings, session: Session, request_: MonitoringRequest
) -> None:
    for number in range(monitoring.MOST_ATTEMPTS):
        assert take(settings, f"worker-{number}", lease_seconds=0) is not None
    assert take(settings, "one too many") is None
    given_up = session.get_one(MonitoringRequest, request_.id)
    assert (given_up.state, given_up.failure) == (
        "failed",
        "given up: 5 workers took it and none finished",
    )


def test_a_failure_says_why_to_the_organisation(
    settings: Settings, session: Session, developer: Actor, request_: MonitoringRequest
) -> None:
    take(settings, "one")
    with session_scope(settings) as own:
        monitoring.fail_request(
            own, actor=WORKER, request_id=request_.id, worker="one", reason="No clear scene."
        )
    told = session.exec(select(Notification)).one()
    assert told.organisation_id == developer.organisation_id
    assert told.message == (
        "RO-LAND: The monitoring of 2016-01-01 to 2018-12-31 failed: No clear scene."
    )
    assert take(settings, "two") is None


def test_a_failure_to_be_retried_goes_to_the_next_worker(
    settings: Settings, request_: MonitoringRequest
) -> None:
    take(settings, "one")
    with session_scope(settings) as own:
        monitoring.fail_request(
            own,
            actor=WORKER,
            request_id=request_.id,
            worker="one",
            reason="Catalogue out of reach.",
            retry=True,
        )
    again = take(settings, "two")
    assert again is not None
    assert again.attempts == 2


def test_a_worker_loses_a_cancelled_request(
    settings: Settings, developer: Actor, request_: MonitoringRequest
) -> None:
    take(settings, "one")
    with session_scope(settings) as own:
        monitoring.cancel_request(own, actor=developer, request_id=request_.id)
    with session_scope(settings) as own, pytest.raises(LeaseLost):
        monitoring.heartbeat(own, worker="one", request_id=request_.id)


def test_a_finished_request_is_not_cancelled(
    world: World, settings: Settings, developer: Actor, request_: MonitoringRequest
) -> None:
    world.report(request_)
    with session_scope(settings) as own, pytest.raises(WrongState, match="is done"):
        monitoring.cancel_request(own, actor=developer, request_id=request_.id)


# --- reports ------------------------------------------------------------------------------------


def test_a_report_waits_for_a_verifier_and_ends_the_request(
    world: World, session: Session, request_: MonitoringRequest
) -> None:
    report = world.report(request_)
    assert (report.state, report.kind, report.environment) == ("queued", "demonstration", "sandbox")
    assert session.get_one(MonitoringRequest, request_.id).state == "done"
    told = session.exec(select(Notification)).one()
    assert "2016-01-01 to 2018-12-31 waits for a verifier" in told.message


def test_the_same_digest_is_the_same_report_also_when_the_lease_is_over(
    settings: Settings, area: Area, request_: MonitoringRequest
) -> None:
    take(settings, "one")
    made = {file(settings, request_, "one", estimate_of(request_, area)).id for _ in range(2)}
    assert len(made) == 1


def test_another_digest_is_refused_once_the_request_is_done(
    settings: Settings, area: Area, request_: MonitoringRequest
) -> None:
    take(settings, "one")
    file(settings, request_, "one", estimate_of(request_, area))
    with pytest.raises(LeaseLost):
        file(settings, request_, "one", estimate_of(request_, area, digest="another"))


def test_one_report_filed_twice_at_once_is_one_report(
    settings: Settings, area: Area, request_: MonitoringRequest
) -> None:
    take(settings, "one")
    ready = Barrier(2)

    def press(_: int) -> UUID:
        ready.wait(5)
        return file(settings, request_, "one", estimate_of(request_, area)).id

    with ThreadPoolExecutor(2) as both:
        assert len(set(both.map(press, range(2)))) == 1


@pytest.mark.parametrize(
    ("part", "value", "field"),
    [
        ("schema", "amanar.estimate/2", "schema"),
        ("period", {"start": "2016-01-01", "end": "2019-12-31"}, "period.end"),
        ("period", {"start": "2016-01-01"}, "period.end"),
        (
            "period",
            {"start": "2016-01-01", "end": "2018-12-31", "t0": "2010-01-01"},
            "period.t0",
        ),
        ("methodology", {"id": "after-vm0047-1.1"}, "methodology.id"),
        ("boundary", {"area_ha": 999.0}, "boundary.area_ha"),
        ("boundary", {"area_ha": float("nan")}, "boundary.area_ha"),
        ("boundary", {"area_ha": None}, "boundary.area_ha"),
        ("removals_tco2e", {"net": 500.0, "previous": -400.0}, "removals_tco2e.previous"),
    ],
)
def test_an_estimate_of_something_else_is_refused(
    settings: Settings, area: Area, request_: MonitoringRequest, part: str, value: Any, field: str
) -> None:
    take(settings, "one")
    estimate = estimate_of(request_, area) | {part: value}
    with pytest.raises(ReportMismatch, match=f"The estimate's {field} is"):
        file(settings, request_, "one", estimate)


def test_a_person_files_no_report(
    session: Session, developer: Actor, area: Area, request_: MonitoringRequest
) -> None:
    with pytest.raises(NotAllowed):
        monitoring.submit_report(
            session,
            actor=developer,
            request_id=request_.id,
            worker="me",
            estimate=estimate_of(request_, area),
            evidence_uri="sha256:" + "0" * 64,
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


def test_the_log_tells_the_steps_of_a_request_in_order(
    world: World, session: Session, request_: MonitoringRequest
) -> None:
    world.report(request_)
    steps = session.exec(
        select(AuditEvent.action)
        .where(col(AuditEvent.subject) == f"monitoring_request:{request_.id}")
        .order_by(col(AuditEvent.seq))
    ).all()
    assert steps == [
        "monitoring:request:queue",
        "monitoring:request:take",
        "monitoring:request:finish",
    ]
