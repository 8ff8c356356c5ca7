"""Boundaries: files in, one checked area out, or a refusal that names the place of the fault.

Imports boundary_files, types, errors; numpy, shapely, pyproj; no rasters. Order: reading, choosing
features, rings and their repairs, the reference system, validity, parts, the area.

Repaired, each with a sentence in `Boundary.repairs`: what has one possible meaning only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError

from geo.boundary_files import MAX_FILE_BYTES, FileFault, RawFeature, RawFile, read_raw
from geo.errors import BadInput
from geo.types import Boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

MIN_AREA_HA = 1e-4
"""One square metre; less is taken for a slip. Our choice."""

MAX_AREA_HA = 10_000_000.0
"""More than this (100,000 km2) is taken for a slip. Our choice."""

MAX_VERTICES = 500_000

OVERLAP_TOLERANCE_HA = 0.01
"""Parts that overlap by more are refused, by less are merged (the registry's own tolerance)."""

EDGE_STEP_DEGREES = 0.001
"""Edges, straight in longitude and latitude, are cut to this length before an area is taken."""

_EDGE_STEP_M = 1000.0
_MAX_EDGE_POINTS = 1_000_000
_SPIKE_DEGREES = 1e-9
_MAX_SPIKE_POINTS = 1000
_MAX_NOTES = 20
_PLACE = re.compile(r"\[(-?[\d.eE+-]+) (-?[\d.eE+-]+)")
_GEOD = Geod(ellps="WGS84")


class BadBoundary(BadInput):
    """{what}: {problem}. {fix}."""


def read_boundary(
    source: str | Path | bytes, *, name: str | None = None, feature: str | None = None
) -> Boundary:
    """Read and check a boundary.

    Parameters
    ----------
    source
        Path of a GeoJSON, KML, KMZ, GeoPackage or zipped shapefile, or its bytes. A path may end
        in `#ID` to choose one feature.
    name
        Name of the area; else the feature's, else the file's.
    feature
        Id, `project_id` or name of the one feature to take.

    Returns
    -------
    The boundary in WGS 84. Several features are one area of several parts, unless they carry
    different `project_id`s: then one has to be chosen.

    Raises
    ------
    BadBoundary
        In one sentence: what is wrong, where (longitude, latitude), and the fix.
    """
    content, label, chosen = _content(source, feature)
    what = f"boundary {label}"
    try:
        raw = read_raw(content)
        features = _choose(raw, chosen)
        repairs: list[str] = []
        polygons = _polygons(raw, features, repairs=repairs)
        geometry = _one_area(polygons, repairs)
        area_ha = geodesic_area_ha(geometry)
        _check_area(area_ha)
    except FileFault as fault:
        said = fault.fields
        raise BadBoundary(what=what, problem=said["problem"], fix=said["fix"]) from fault
    titles = [f.title for f in features if f.title]
    title = titles[0] if len(features) == 1 and titles else Path(label).name.split(".")[0]
    return Boundary(
        name=name or chosen or title, geometry=geometry, area_ha=area_ha, repairs=tuple(repairs)
    )


def geodesic_area_ha(geometry: BaseGeometry) -> float:
    """Area of a WGS 84 geometry on the ellipsoid, hectares; edges straight in lon and lat."""
    fine = with_fine_edges(geometry)
    area_m2, _ = _GEOD.geometry_area_perimeter(shapely.orient_polygons(fine))
    return float(abs(area_m2)) / 10_000


def with_fine_edges(geometry: BaseGeometry) -> BaseGeometry:
    """Cut the edges of a WGS 84 geometry so that each is as good as straight in any projection.

    To 0.001 degree; longer where that would give more than a million points.
    """
    step = max(EDGE_STEP_DEGREES, float(shapely.length(geometry)) / _MAX_EDGE_POINTS)
    fine: BaseGeometry = shapely.segmentize(geometry, step)
    return fine


def _content(source: str | Path | bytes, feature: str | None) -> tuple[bytes, str, str | None]:
    if isinstance(source, bytes):
        return source, "upload", feature
    path = Path(source)
    if not path.exists() and feature is None and "#" in path.name:
        text, _, feature = str(source).rpartition("#")
        path = Path(text)
    what = f"boundary {path}"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            problem = f"has more than {MAX_FILE_BYTES} bytes"
            raise BadBoundary(what=what, problem=problem, fix="Simplify it")
        return path.read_bytes(), str(path), feature
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise BadBoundary(what=what, problem=problem, fix="Give a file that exists") from error


def _choose(raw: RawFile, wanted: str | None) -> list[RawFeature]:
    if wanted is not None:
        found = [feature for feature in raw.features if wanted in feature.keys]
        if len(found) == 1:
            return found
        known = ", ".join(key for feature in raw.features for key in feature.keys[:1]) or "no ids"
        problem = f"has {len(found)} features {wanted!r}"
        raise FileFault(problem=problem, fix=f"Choose one of: {known}")
    projects = dict.fromkeys(f.project_id for f in raw.features if f.project_id)
    if len(projects) > 1:
        raise FileFault(
            problem=f"holds {len(projects)} projects ({', '.join(projects)})",
            fix="Choose one with FILE#PROJECT_ID",
        )
    return list(raw.features)


def _polygons(
    raw: RawFile, features: Sequence[RawFeature], *, repairs: list[str]
) -> list[shapely.Polygon]:
    others = sorted({kind for feature in features for kind in feature.others})
    rings = [polygon for feature in features for polygon in feature.polygons]
    if any(not feature.polygons and not feature.others for feature in features):
        raise FileFault(problem="has a feature without geometry", fix="Draw it or take it out")
    if not rings:
        problem = f"holds {', '.join(others)} and no polygon"
        raise FileFault(problem=problem, fix="Draw the area as a polygon")
    if set(others) - {"Point", "MultiPoint"}:
        problem = f"holds {', '.join(others)} beside its polygons"
        raise FileFault(problem=problem, fix="Keep the polygons alone")
    if others:
        repairs.append("Points beside the polygons were left out.")
    if sum(len(ring) for polygon in rings for ring in polygon) > MAX_VERTICES:
        raise FileFault(problem=f"has more than {MAX_VERTICES} points", fix="Simplify it")
    if any(ring.ndim == 2 and ring.shape[1] > 2 for polygon in rings for ring in polygon):  # noqa: PLR2004  # (point, 3)
        repairs.append("Heights were dropped.")
    to_wgs84 = _ToWgs84(raw.crs or "")
    return [
        _polygon([to_wgs84(ring) for ring in polygon], raw, repairs=repairs) for polygon in rings
    ]


class _ToWgs84:
    """Brings rings of one reference system to WGS 84 longitude and latitude."""

    def __init__(self, crs: str) -> None:
        try:
            self.crs = CRS.from_user_input(crs)
        except CRSError as error:
            raise FileFault(
                problem=f"names the reference system {crs[:80]!r}, which is not known",
                fix="Use an EPSG code, or WGS 84 longitude and latitude",
            ) from error
        self.same = self.crs.equals(CRS.from_user_input("EPSG:4326"), ignore_axis_order=True)
        self.transformer = Transformer.from_crs(self.crs, "OGC:CRS84", always_xy=True)

    def __call__(self, ring: NDArray[np.float64]) -> NDArray[np.float64]:
        points = ring[:, :2] if ring.ndim == 2 else ring.reshape(0, 2)  # noqa: PLR2004  # (point, n)
        broken = ~np.isfinite(points).all(axis=1)
        if broken.any():
            number = int(np.argmax(broken)) + 1
            raise FileFault(
                problem=f"has a coordinate that is no number (point {number} of a ring)",
                fix="Export the boundary again",
            )
        if self.same or not len(points):
            _check_range(points, self.crs)
            return points
        moved = np.column_stack(self.transformer.transform(points[:, 0], points[:, 1]))
        _check_range(moved, self.crs)
        if self.crs.is_projected and len(points) > 1:
            fine = shapely.get_coordinates(_with_fine_metres(shapely.LineString(points)))
            moved = np.column_stack(self.transformer.transform(fine[:, 0], fine[:, 1]))
            _check_range(moved, self.crs)
        return moved


def _with_fine_metres(line: shapely.LineString) -> shapely.LineString:
    """Cut edges that are straight in a projection, where they are longer than a kilometre."""
    step = max(_EDGE_STEP_M, float(shapely.length(line)) / _MAX_EDGE_POINTS)
    return shapely.segmentize(line, step)


def _check_range(points: NDArray[np.float64], crs: CRS) -> None:
    outside = ~(np.abs(points[:, 0]) <= 180) | ~(np.abs(points[:, 1]) <= 90)  # noqa: PLR2004  # degrees; NaN is outside
    if not outside.any():
        return
    x, y = points[int(np.argmax(outside))]
    if not np.isfinite([x, y]).all():
        problem = f"has coordinates outside the reach of {crs.name}"
        raise FileFault(problem=problem, fix="State the reference system it is really in")
    if abs(x) <= 90 < abs(y) <= 180:  # noqa: PLR2004  # degrees
        raise FileFault(
            problem=f"has latitude {y:.6f} at longitude {x:.6f}: the two are swapped",
            fix="Write longitude first, then latitude",
        )
    if 180 < abs(x) <= 360 and abs(y) <= 90:  # noqa: PLR2004  # degrees
        raise FileFault(
            problem=f"has longitude {x:.6f}, beyond the antimeridian",
            fix="Write longitudes from -180 to 180 and give each side as an area of its own",
        )
    raise FileFault(
        problem=f"has the coordinate {x:.3f}, {y:.3f}, which is not longitude and latitude",
        fix="State its reference system (a .prj, or the crs member) or export it as WGS 84",
    )


def _polygon(
    rings: Sequence[NDArray[np.float64]], raw: RawFile, *, repairs: list[str]
) -> shapely.Polygon:
    clean = [_clean_ring(ring, repairs) for ring in rings]
    polygon = shapely.Polygon(clean[0], clean[1:])
    if raw.winding and any(
        shapely.is_ccw(shapely.LinearRing(ring)) != (number == 0)
        for number, ring in enumerate(clean)
    ):
        _note(repairs, "Rings were turned to the direction that the format asks for.")
    return shapely.orient_polygons(polygon)


def _note(repairs: list[str], sentence: str) -> None:
    if len(repairs) >= _MAX_NOTES:
        sentence = "Further repairs of these kinds were made."
    if sentence not in repairs:
        repairs.append(sentence)


def _clean_ring(ring: NDArray[np.float64], repairs: list[str]) -> NDArray[np.float64]:
    """Close a ring and take out repeated points and spikes without width."""
    if len(ring) == 0:
        raise FileFault(problem="has a ring without points", fix="Export the boundary again")
    if (ring[0] != ring[-1]).any():
        _note(repairs, f"A ring was closed at {_at(*ring[0])}.")
    else:
        ring = ring[:-1]
    kept = ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)] if len(ring) > 1 else ring
    if len(kept) < len(ring):
        _note(repairs, f"Repeated points were removed, the first near {_first_gap(ring)}.")
    kept = _without_spikes(kept, repairs)
    if len(kept) < 3:  # noqa: PLR2004  # a triangle
        raise FileFault(
            problem=f"has a ring with no area at {_at(*ring[0])}", fix="Draw that part again"
        )
    return np.vstack([kept, kept[:1]])


def _first_gap(ring: NDArray[np.float64]) -> str:
    same = np.all(ring == np.roll(ring, 1, axis=0), axis=1)
    return _at(*ring[int(np.argmax(same))])


def _without_spikes(ring: NDArray[np.float64], repairs: list[str]) -> NDArray[np.float64]:
    """Take out the points at which a ring goes out and comes back on the same line."""
    for _ in range(_MAX_SPIKE_POINTS):
        spikes = _spikes(ring)
        if len(ring) < 3 or not len(spikes):  # noqa: PLR2004  # a triangle
            return ring
        for spike in spikes[: _MAX_NOTES + 1]:
            _note(repairs, f"A spike without width was removed at {_at(*ring[spike])}.")
        ring = np.delete(ring, spikes, axis=0)
        ring = ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)]
    raise FileFault(problem=f"has a tangled ring at {_at(*ring[0])}", fix="Draw it again")


def _spikes(ring: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find spikes; of neighbours only the first, since taking it out changes the next."""
    before, after = np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0)
    out, back = ring - before, after - ring
    cross = out[:, 0] * back[:, 1] - out[:, 1] * back[:, 0]
    reach = np.maximum(np.hypot(out[:, 0], out[:, 1]), np.hypot(back[:, 0], back[:, 1]))
    turned = (out * back).sum(axis=1) < 0
    found = np.flatnonzero(turned & (np.abs(cross) <= _SPIKE_DEGREES * reach))
    if len(found) > 1 and found[0] == 0 and found[-1] == len(ring) - 1:
        found = found[:-1]
    alone = np.insert(np.diff(found) > 1, 0, values=True) if len(found) else found.astype(bool)
    first: NDArray[np.int64] = found[alone]
    return first


def _at(lon: float, lat: float) -> str:
    return f"longitude {lon:.6f}, latitude {lat:.6f}"


def _one_area(polygons: Sequence[shapely.Polygon], repairs: list[str]) -> shapely.MultiPolygon:
    parts = [_valid(polygon, repairs) for polygon in polygons]
    whole = shapely.MultiPolygon([piece for part in parts for piece in _pieces(part)])
    west, _, east, _ = whole.bounds
    if east - west > 180:  # noqa: PLR2004  # degrees: nothing sensible is that wide
        raise FileFault(
            problem=f"reaches from longitude {west:.3f} to {east:.3f}, around or across the "
            "antimeridian",
            fix="Cut it there and give each side as an area of its own",
        )
    merged = shapely.unary_union(_without_doubles(list(whole.geoms), repairs))
    result = shapely.MultiPolygon(_pieces(merged))
    if not result.is_valid:
        raise FileFault(
            problem=f"is not valid: {shapely.is_valid_reason(result)}", fix="Draw it again"
        )
    return shapely.MultiPolygon(
        [shapely.orient_polygons(part) for part in sorted(result.geoms, key=lambda g: g.bounds)]
    )


def _pieces(geometry: BaseGeometry) -> list[shapely.Polygon]:
    return [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]


def _valid(polygon: shapely.Polygon, repairs: list[str]) -> BaseGeometry:
    """Accept a valid polygon, or one that only touches itself; refuse the rest with the place."""
    reason = str(shapely.is_valid_reason(polygon))
    if reason == "Valid Geometry":
        return polygon
    found = _PLACE.search(reason)
    place = f" at {_at(float(found[1]), float(found[2]))}" if found else ""
    if reason.startswith(("Ring Self-intersection", "Interior is disconnected")):
        repaired = shapely.make_valid(polygon)
        if abs(repaired.area - polygon.area) <= 1e-9 * polygon.area:  # same land
            _note(repairs, f"A ring that touches itself{place} was split there.")
            return repaired
    fault = {
        "Self-intersection": "its outline crosses itself",
        "Ring Self-intersection": "a ring crosses itself",
        "Hole lies outside shell": "a hole lies outside its outline",
        "Holes are nested": "a hole lies inside another hole",
        "Duplicate Rings": "a ring stands there twice",
    }.get(reason.split("[", maxsplit=1)[0], reason.split("[", maxsplit=1)[0].lower())
    raise FileFault(problem=f"{fault}{place}", fix="Mend the drawing there and export it again")


def _without_doubles(parts: list[shapely.Polygon], repairs: list[str]) -> list[shapely.Polygon]:
    """Drop parts that stand there twice; refuse parts that overlap."""
    kept: list[shapely.Polygon] = []
    seen: set[bytes] = set()
    for part in parts:
        form = part.normalize().wkb
        if form in seen:
            _note(repairs, f"A part that stood there twice was dropped at {_where(part)}.")
        else:
            seen.add(form)
            kept.append(part)
    tree = shapely.STRtree(kept)
    for left, right in zip(*_overlapping(tree, kept), strict=True):
        common = shapely.intersection(kept[left], kept[right])
        area_ha = geodesic_area_ha(common) if common.area > 0 else 0.0
        if area_ha > OVERLAP_TOLERANCE_HA:
            raise FileFault(
                problem=f"has parts that overlap by {area_ha:.4g} ha at {_where(common)}",
                fix="Cut the overlap out of one of them",
            )
        sentence = (
            "Parts that touch were joined."
            if area_ha == 0
            else (f"Parts that overlap by {area_ha:.2g} ha at {_where(common)} were joined.")
        )
        if common.length > 0:
            _note(repairs, sentence)
    return kept


def _overlapping(
    tree: shapely.STRtree, parts: Sequence[shapely.Polygon]
) -> tuple[list[int], list[int]]:
    left, right = tree.query(parts, predicate="intersects")
    pairs = [(int(a), int(b)) for a, b in zip(left, right, strict=True) if a < b]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _where(geometry: Any) -> str:
    point = geometry.representative_point()
    return _at(point.x, point.y)


def _check_area(area_ha: float) -> None:
    if area_ha < MIN_AREA_HA:
        problem = f"has an area of {area_ha:.2g} ha, less than a square metre"
        raise FileFault(problem=problem, fix="Check the coordinates and their reference system")
    if area_ha > MAX_AREA_HA:
        problem = f"has an area of {area_ha:.4g} ha, more than {MAX_AREA_HA:.0f}"
        raise FileFault(problem=problem, fix="Split it, or check its reference system")
