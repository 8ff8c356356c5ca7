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
    ReportMismatch,
    ReportUndecided,
    RequestOpen,
    WrongState,
)
from registry.services import monitoring
from registry.tables.accounts import Notification
from registry.tables.audit import AuditEvent
from registry.tables.monitoring import MonitoringReport, MonitoringRequest
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
