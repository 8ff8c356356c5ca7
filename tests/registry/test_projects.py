"""Land is claimed once, on a real PostGIS; two who press at once are told apart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer
from shapely import MultiPolygon, Polygon, box
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from registry.db import constraint_of, session_scope
from registry.domain.ids import new_id
from registry.domain.roles import Role, system_actor
from registry.errors import (
    AlreadyExists,
    CellsClaimed,
    CommandConflict,
    InvalidValue,
    LandOverlap,
    NotAllowed,
    NotFound,
    NotYours,
    WrongState,
)
from registry.services import projects
from registry.tables.audit import AuditEvent
from registry.tables.projects import Area, Claim, Project
from tests.world import World, square

if TYPE_CHECKING:
    from sqlmodel import Session

    from registry.domain.roles import Actor
    from registry.settings import Settings

TO_CELLS = Transformer.from_crs(4326, 6933, always_xy=True)
FROM_CELLS = Transformer.from_crs(6933, 4326, always_xy=True)
ELLIPSOID = Geod(ellps="WGS84")


@pytest.fixture
def developer(world: World) -> Actor:
    return world.developer()


@pytest.fixture
def project(world: World, developer: Actor) -> Project:
    return world.project(developer, code="RO-FIRST")


@pytest.fixture
def second(world: World) -> tuple[Actor, Project]:
    other = world.developer()
    return other, world.project(other, code="RO-SECOND")


def cells_of(session: Session, area: Area) -> set[int]:
    return set(session.exec(select(Claim.cell).where(col(Claim.area_id) == area.id)))


def centres_inside(geometry: Polygon | MultiPolygon) -> set[int]:
    """Number the cells by a second implementation: pyproj and shapely, over the bounding box."""
    west, south, east, north = geometry.bounds
    (left, right), (low, high) = TO_CELLS.transform([west, east], [south, north])
    columns = np.arange(np.floor(left / 100), np.floor(right / 100) + 1)
    rows = np.arange(np.floor(low / 100), np.floor(high / 100) + 1)
    x, y = np.meshgrid(columns, rows)
    lon, lat = FROM_CELLS.transform(x * 100 + 50, y * 100 + 50)
    inside = shapely.contains_xy(geometry, lon, lat)
    return set(((y + 100_000) * 1_000_000 + x + 500_000)[inside].astype(np.int64).tolist())


# --- projects -----------------------------------------------------------------------------------


def test_a_registered_project_belongs_to_the_developers_organisation(
    project: Project, developer: Actor
) -> None:
    assert (project.organisation_id, project.state) == (developer.organisation_id, "registered")


def test_a_code_is_given_once(world: World, project: Project) -> None:
    with pytest.raises(AlreadyExists, match="project RO-FIRST exists already"):
        world.project(world.developer(), code=project.code)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"code": "ro-1"}, "code"),
        ({"code": "RO--1"}, "code"),
        ({"code": "RO-1\n"}, "code"),
        ({"code": "A" * 33}, "code"),
        ({"country": "Romania"}, "country"),
        ({"name": " "}, "name"),
    ],
)
def test_a_malformed_project_is_refused(
    world: World, developer: Actor, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidValue, match=named):
        world.project(developer, **fields)


@pytest.mark.parametrize("role", [Role.BUYER, Role.VERIFIER, Role.OPERATOR])
def test_only_developers_register_projects(world: World, role: Role) -> None:
    with pytest.raises(NotAllowed, match="developer"):
        world.project(world.person(role))


def test_the_system_registers_no_project(world: World) -> None:
    with pytest.raises(NotAllowed):
        world.project(system_actor("anything"))


def test_the_same_command_gives_the_same_project(session: Session, developer: Actor) -> None:
    command_id = new_id()
    asked = projects.NewProject(code="RO-X", name="X", country="RO", activity="Forest")
    made = [
        projects.register_project(session, actor=developer, command_id=command_id, project=asked).id
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_the_same_command_with_other_content_is_refused(session: Session, developer: Actor) -> None:
    command_id = new_id()
    for name in ("X", "Y"):
        asked = projects.NewProject(code="RO-X", name=name, country="RO", activity="Forest")
        if name == "X":
            projects.register_project(
                session, actor=developer, command_id=command_id, project=asked
            )
            continue
        with pytest.raises(CommandConflict, match=str(command_id)):
            projects.register_project(
                session, actor=developer, command_id=command_id, project=asked
            )


def test_anothers_command_id_gives_no_look_at_what_it_made(
    world: World, session: Session, developer: Actor
) -> None:
    command_id = new_id()
    asked = projects.NewProject(code="RO-X", name="X", country="RO", activity="Forest")
    projects.register_project(session, actor=developer, command_id=command_id, project=asked)
    session.commit()
    with pytest.raises(CommandConflict):
        projects.register_project(
            session, actor=world.developer(), command_id=command_id, project=asked
        )


# --- areas --------------------------------------------------------------------------------------


def test_an_area_makes_the_project_active_and_is_measured_on_the_ellipsoid(
    world: World, session: Session, developer: Actor, project: Project
) -> None:
    area = world.area(developer, project, square(25, 45))
    area_m2, _ = ELLIPSOID.geometry_area_perimeter(square(25, 45))
    assert area.area_ha == pytest.approx(area_m2 / 10_000, rel=1e-9)
    assert session.get_one(Project, project.id).state == "active"


def test_a_boundary_reads_back_as_it_was_given(
    world: World, session: Session, developer: Actor, project: Project
) -> None:
    ring = Polygon(
        [(25, 45), (25.02, 45.001), (25.01, 45.02)],
        [[(25.008, 45.005), (25.012, 45.005), (25.01, 45.008)]],
    )
    given = MultiPolygon([ring, square(25.1, 45.1)])
    area = world.area(developer, project, given)
    read = projects.boundary_of(session.get_one(Area, area.id))
    assert read.equals_exact(given.normalize(), 0)
    assert projects.boundary_sha256(read) == area.boundary_sha256


def test_the_hash_of_a_boundary_does_not_depend_on_where_its_ring_begins() -> None:
    ring = [(25.0, 45.0), (25.1, 45.0), (25.1, 45.1), (25.0, 45.1)]
    hashes = {
        projects.boundary_sha256(projects.normal_boundary(Polygon(turned)))
        for turned in (ring, ring[2:] + ring[:2], ring[::-1])
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("geometry", "problem"),
    [
        (Polygon(), "empty"),
        (Polygon([(25, 45), (26, 46), (26, 45), (25, 46)]), "Self-intersection"),
        (box(179, 0, 181, 1), "reaches from 179"),
    ],
)
def test_a_boundary_that_cannot_be_land_is_refused(
    world: World, developer: Actor, project: Project, geometry: Polygon, problem: str
) -> None:
    with pytest.raises(InvalidValue, match=problem):
        world.area(developer, project, geometry)


def test_an_area_needs_the_projects_own_organisation(world: World, project: Project) -> None:
    with pytest.raises(NotYours, match="project RO-FIRST belongs to another organisation"):
        world.area(world.developer(), project, square(25, 45))


def test_an_area_needs_a_project(world: World, developer: Actor, project: Project) -> None:
    project.id = new_id()
    with pytest.raises(NotFound, match=str(project.id)):
        world.area(developer, project, square(25, 45))


# --- overlap ------------------------------------------------------------------------------------


def test_an_overlap_names_the_other_project_and_the_hectares(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    world.area(developer, project, square(25, 45))
    shared_m2, _ = ELLIPSOID.geometry_area_perimeter(box(25.006, 45.004, 25.01, 45.01))
    with pytest.raises(LandOverlap, match="overlaps project RO-FIRST by") as refused:
        world.area(*second, square(25.006, 45.004))
    assert refused.value.overlap_ha == pytest.approx(shared_m2 / 10_000, abs=1e-4)


def test_two_areas_of_one_project_must_not_overlap_either(
    world: World, developer: Actor, project: Project
) -> None:
    world.area(developer, project, square(25, 45))
    with pytest.raises(LandOverlap, match="RO-FIRST"):
        world.area(developer, project, square(25.005, 45))


def test_neighbours_share_a_border(
    world: World,
    session: Session,
    developer: Actor,
    project: Project,
    second: tuple[Actor, Project],
) -> None:
    left = world.area(developer, project, square(25, 45))
    right = world.area(*second, square(25.01, 45))
    assert cells_of(session, left).isdisjoint(cells_of(session, right))


def test_a_slanting_common_border_with_more_vertices_on_one_side_is_no_overlap(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    ends = np.array([(25.0, 45.0), (25.31, 45.27)])
    dense = [tuple(ends[0] + (ends[1] - ends[0]) * share) for share in np.linspace(0, 1, 50)]
    world.area(developer, project, Polygon([(25.0, 45.27), *ends[::-1].tolist()][::-1]))
    world.area(*second, Polygon([*dense, (25.31, 45.0)]))


def test_an_overlap_below_the_tolerance_is_allowed_unless_it_holds_a_cells_centre(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    world.area(developer, project, square(25, 45))
    # About 1e-8 degrees (0.8 mm) times 1.1 km: 1 m2, a hundredth of the tolerance.
    world.area(*second, square(25.01 - 1e-8, 45))


def test_an_overlap_just_above_the_tolerance_is_refused(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    world.area(developer, project, square(25, 45))
    with pytest.raises(LandOverlap) as refused:
        world.area(*second, square(25.01 - 1.2e-6, 45))  # 0.094 m times 1,111 m: 0.0105 ha
    assert refused.value.overlap_ha == pytest.approx(0.0105, abs=2e-4)


def test_small_areas_on_the_same_land_are_told_apart_however_small(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    # 0.012 ha each, moved by a third of a side: 0.008 ha shared, below 0.01 ha, above 1 %.
    world.area(developer, project, box(0.00001, 0.00001, 0.00011, 0.00011))
    with pytest.raises(LandOverlap, match="RO-FIRST"):
        world.area(*second, box(0.00004, 0.00001, 0.00014, 0.00011))
    world.area(*second, box(0.0001099, 0.00001, 0.00021, 0.00011))  # 0.1 % of a side


def test_overlaps_with_all_neighbours_count_together(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    world.area(developer, project, square(25, 45))
    world.area(developer, project, square(25.02, 45))
    # 0.0062 ha with each of the two.
    with pytest.raises(LandOverlap, match="RO-FIRST"):
        world.area(*second, box(25.01 - 7e-7, 45, 25.02 + 7e-7, 45.01))
    world.area(*second, box(25.01 - 4e-7, 45, 25.02 + 4e-7, 45.01))


def test_an_area_below_the_smallest_is_refused(
    world: World, developer: Actor, project: Project
) -> None:
    with pytest.raises(InvalidValue, match=r"it has 0\.0085 ha"):
        world.area(developer, project, box(0.00001, 0.00001, 0.0000932, 0.0000932))


def test_a_small_overlap_behind_the_services_back_is_refused_by_the_database(
    world: World, session: Session, developer: Actor, project: Project
) -> None:
    area = world.area(developer, project, box(0.00001, 0.00001, 0.00011, 0.00011))
    moved = text(
        "INSERT INTO area SELECT gen_random_uuid(), project_id, gen_random_uuid(), 1, name, pool,"
        " ST_Translate(geom, 0.00003, 0), area_ha, boundary_sha256, effective, state, now()"
        " FROM area WHERE id = :id"
    )
    with pytest.raises(IntegrityError) as refused:
        session.connection().execute(moved, {"id": area.id})
    assert constraint_of(refused.value) == "ex_area_geom"


def test_a_sliver_with_a_cells_centre_is_caught_by_the_claims(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    x, y = (float(np.floor(value / 100)) * 100 + 50 for value in TO_CELLS.transform(25.0, 45.0))
    lon, lat = FROM_CELLS.transform(x, y)
    world.area(developer, project, box(lon - 0.01, lat - 0.0004, lon + 1e-8, lat + 0.0004))
    with pytest.raises(CellsClaimed, match="woody-biomass"):
        world.area(*second, box(lon - 1e-8, lat - 0.0004, lon + 0.01, lat + 0.0004))


def test_land_is_free_again_for_other_days(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    world.area(developer, project, square(25, 45), last_day=date(2019, 12, 31))
    with pytest.raises(LandOverlap):
        world.area(*second, square(25, 45), first_day=date(2019, 12, 31))
    world.area(*second, square(25, 45), first_day=date(2020, 1, 1))


def test_land_may_be_claimed_for_another_pool(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    world.area(developer, project, square(25, 45))
    world.area(*second, square(25, 45), pool="soil")


def test_an_overlap_behind_the_services_back_is_refused_by_the_database(
    world: World, session: Session, developer: Actor, project: Project
) -> None:
    area = world.area(developer, project, square(25, 45))
    copied = text(
        "INSERT INTO area SELECT gen_random_uuid(), project_id, gen_random_uuid(), 1, name, pool,"
        " geom, area_ha, boundary_sha256, effective, state, now() FROM area WHERE id = :id"
    )
    with pytest.raises(IntegrityError) as refused:
        session.connection().execute(copied, {"id": area.id})
    assert constraint_of(refused.value) == "ex_area_geom"


def test_of_two_who_claim_the_same_land_at_once_one_wins(
    world: World, settings: Settings, second: tuple[Actor, Project]
) -> None:
    first = world.developer()
    rivals = [(first, world.project(first)), second]
    ready = Barrier(2)

    def press(rival: tuple[Actor, Project], lon: float) -> str:
        actor, project = rival
        area = projects.NewArea(project_id=project.id, name="Both", geometry=square(lon, 45))
        ready.wait(5)
        try:
            with session_scope(settings) as session:
                projects.add_area(session, actor=actor, command_id=new_id(), area=area)
        except LandOverlap:
            return "refused"
        return "made"

    with ThreadPoolExecutor(2) as both:
        ended = list(both.map(press, rivals, (25.0, 25.004)))
    assert sorted(ended) == ["made", "refused"]


def test_one_command_pressed_twice_at_once_makes_one_area(
    settings: Settings, session: Session, developer: Actor, project: Project
) -> None:
    command_id, ready = new_id(), Barrier(2)
    area = projects.NewArea(project_id=project.id, name="Twice", geometry=square(25, 45))

    def press(_: int) -> Any:
        ready.wait(5)
        with session_scope(settings) as own:
            return projects.add_area(own, actor=developer, command_id=command_id, area=area).id

    with ThreadPoolExecutor(2) as both:
        assert len(set(both.map(press, range(2)))) == 1
    assert len(session.exec(select(Area.id)).all()) == 1


# --- claims -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "geometry",
    [
        square(25, 45, side=0.05),
        box(-74.2, -8.8, -74.15, -8.77),
        MultiPolygon([square(25, 45), square(-60, -3)]),
        Polygon(
            [(25, 45), (25.1, 45.01), (25.04, 45.09)],
            [[(25.03, 45.03), (25.05, 45.03), (25.04, 45.04)]],
        ),
    ],
    ids=["square", "southern", "far-parts", "hole"],
)
def test_the_cells_are_those_whose_centres_lie_inside(
    world: World, session: Session, developer: Actor, project: Project, geometry: MultiPolygon
) -> None:
    area = world.area(developer, project, geometry)
    parts = geometry.geoms if isinstance(geometry, MultiPolygon) else [geometry]
    assert cells_of(session, area) == set().union(*(centres_inside(part) for part in parts))


def test_a_cell_number_can_be_read_by_hand(
    world: World, session: Session, developer: Actor, project: Project
) -> None:
    # Cell 0, 0 of the grid has its centre 50 m east and north of 0, 0.
    area = world.area(developer, project, box(0.0004, 0.0003, 0.0007, 0.0005))
    assert cells_of(session, area) == {100_000_500_000}


def test_a_tiny_area_claims_its_cell_in_shared_mode(
    world: World,
    session: Session,
    developer: Actor,
    project: Project,
    second: tuple[Actor, Project],
) -> None:
    # Two gardens of 0.05 ha in the south-west of one cell, far from its centre, and the land
    # around the centre: three owners in one cell, none overlapping.
    gardens = [box(0.00001, 0.00001, 0.0002, 0.0002), box(0.0002, 0.00001, 0.00039, 0.0002)]
    areas = [world.area(developer, project, garden) for garden in gardens]
    claims = session.exec(select(Claim)).all()
    assert {(claim.cell, claim.mode) for claim in claims} == {(100_000_500_000, "shared")}
    assert {claim.area_id for claim in claims} == {area.id for area in areas}
    world.area(*second, box(0.0003, 0.0002, 0.0009, 0.0009))


def test_tiny_areas_that_overlap_are_told_apart_by_their_boundaries(
    world: World, developer: Actor, project: Project, second: tuple[Actor, Project]
) -> None:
    world.area(developer, project, box(0.00001, 0.00001, 0.0002, 0.0002))
    with pytest.raises(LandOverlap, match="RO-FIRST"):
        world.area(*second, box(0.00001, 0.00001, 0.0002, 0.0002))


def test_the_log_holds_the_boundarys_hash_and_no_float(
    world: World, session: Session, developer: Actor, project: Project
) -> None:
    area = world.area(developer, project, square(25, 45))
    found = session.exec(
        select(AuditEvent).where(col(AuditEvent.subject) == f"area:{area.id}")
    ).one()
    assert found.action == "projects:area:add"
    assert found.content["boundary_sha256"] == area.boundary_sha256
    assert found.content["area_m2"] == round(area.area_ha * 10_000)


# --- versions -----------------------------------------------------------------------------------


def revise(settings: Settings, actor: Actor, area: Area, geometry: Polygon, day: date) -> Area:
    with session_scope(settings) as session:
        return projects.revise_area(
            session,
            actor=actor,
            command_id=new_id(),
            area_id=area.id,
            geometry=geometry,
            first_day=day,
        )


def test_a_new_version_takes_the_cells_over_on_its_first_day(
    world: World, settings: Settings, session: Session, developer: Actor, project: Project
) -> None:
    old = world.area(developer, project, square(25, 45))
    new = revise(settings, developer, old, square(25.005, 45), date(2020, 1, 1))
    assert (new.lineage, new.version, new.state) == (old.lineage, 2, "active")
    session.expire_all()
    before = session.get_one(Area, old.id)
    assert (before.state, before.effective.upper) == ("superseded", date(2020, 1, 1))
    common = cells_of(session, old) & cells_of(session, new)
    claims = session.exec(select(Claim).where(col(Claim.cell).in_(common))).all()
    ends = {(claim.area_id, claim.period.lower, claim.period.upper) for claim in claims}
    assert ends == {(old.id, None, date(2020, 1, 1)), (new.id, date(2020, 1, 1), None)}


def test_land_left_out_by_a_new_version_is_free_from_that_day(
    world: World,
    settings: Settings,
    developer: Actor,
    project: Project,
    second: tuple[Actor, Project],
) -> None:
    old = world.area(developer, project, square(25, 45))
    revise(settings, developer, old, square(25, 45, side=0.004), date(2020, 1, 1))
    with pytest.raises(LandOverlap):
        world.area(*second, square(25.005, 45.005, side=0.004), first_day=date(2019, 12, 31))
    world.area(*second, square(25.005, 45.005, side=0.004), first_day=date(2020, 1, 1))


def test_a_superseded_version_cannot_be_revised(
    world: World, settings: Settings, developer: Actor, project: Project
) -> None:
    old = world.area(developer, project, square(25, 45))
    revise(settings, developer, old, square(25, 45), date(2020, 1, 1))
    with pytest.raises(WrongState, match="superseded"):
        revise(settings, developer, old, square(25, 45), date(2019, 1, 1))


def test_a_new_version_begins_inside_the_old_ones_time(
    world: World, settings: Settings, developer: Actor, project: Project
) -> None:
    old = world.area(developer, project, square(25, 45), first_day=date(2015, 1, 1))
    with pytest.raises(InvalidValue, match="2015-01-01 is not inside"):
        revise(settings, developer, old, square(25, 45), date(2015, 1, 1))


def test_a_new_version_does_not_begin_with_the_calendar(
    world: World, settings: Settings, developer: Actor, project: Project
) -> None:
    old = world.area(developer, project, square(25, 45))
    with pytest.raises(InvalidValue, match="0001-01-01 is not inside"):
        revise(settings, developer, old, square(25, 45), date.min)


def test_an_area_does_not_end_with_the_calendar(
    world: World, developer: Actor, project: Project
) -> None:
    with pytest.raises(InvalidValue, match="9999-12-31 is the calendar's last day"):
        world.area(developer, project, square(25, 45), last_day=date.max)
