"""Boundaries: every format and reference system, what is repaired, what is refused and where."""

from __future__ import annotations

import io
import json
import math
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geo.aoi import BadBoundary, geodesic_area_ha, read_boundary
from geo.errors import BadInput

SAMPLES = Path("data/samples/catalog")
OUTER = [[22.10, 45.20], [22.12, 45.20], [22.125, 45.215], [22.10, 45.21], [22.10, 45.20]]
HOLE = [[22.105, 45.203], [22.105, 45.206], [22.11, 45.206], [22.105, 45.203]]
POLYGON = {"type": "Polygon", "coordinates": [OUTER, HOLE]}
SHAPE = shapely.Polygon(OUTER, [HOLE])
FINE = shapely.segmentize(SHAPE, 0.0005)
"""The same land with short edges: straight in any projection."""
GEOD = Geod(ellps="WGS84")
AREA_HA = geodesic_area_ha(SHAPE)


def geojson(geometry: Any, **members: Any) -> bytes:
    feature = {"type": "Feature", "properties": {"name": "Stand 7"}, "geometry": geometry}
    return json.dumps({**feature, **members}).encode()


def ring(*points: tuple[float, float]) -> bytes:
    return geojson({"type": "Polygon", "coordinates": [[list(point) for point in points]]})


def collection(*features: dict[str, Any]) -> bytes:
    members = [{"type": "Feature", **feature} for feature in features]
    return json.dumps({"type": "FeatureCollection", "features": members}).encode()


def square(west: float, south: float, size: float = 0.01) -> dict[str, Any]:
    ring = [[west, south], [west + size, south], [west + size, south + size]]
    ring += [[west, south + size], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def refusal(content: bytes | Path) -> str:
    with pytest.raises(BadBoundary) as caught:
        read_boundary(content)
    message = str(caught.value)
    assert isinstance(caught.value, BadInput)
    assert message.endswith(".")
    assert "{" not in message
    return message


class TestGeoJson:
    @pytest.mark.parametrize(
        "content",
        [
            geojson(POLYGON),
            json.dumps(POLYGON).encode(),
            json.dumps({"type": "MultiPolygon", "coordinates": [[OUTER, HOLE]]}).encode(),
            json.dumps({"type": "GeometryCollection", "geometries": [POLYGON]}).encode(),
            collection({"properties": {}, "geometry": POLYGON}),
            b"\xef\xbb\xbf" + geojson(POLYGON),
        ],
    )
    def test_feature_collection_and_bare_geometry_are_one_area(self, content: bytes) -> None:
        found = read_boundary(content)
        assert found.geometry.equals(SHAPE)
        assert found.area_ha == pytest.approx(AREA_HA, rel=1e-12)
        assert found.repairs == ()

    def test_the_name_is_given_or_the_feature_s_or_the_file_s(self, tmp_path: Path) -> None:
        path = tmp_path / "north.geojson"
        path.write_bytes(json.dumps(POLYGON).encode())
        assert read_boundary(geojson(POLYGON), name="mine").name == "mine"
        assert read_boundary(geojson(POLYGON)).name == "Stand 7"
        assert read_boundary(path).name == "north"

    def test_heights_are_dropped_and_said(self) -> None:
        raised = [[[*point, 812.5] for point in OUTER]]
        found = read_boundary(geojson({"type": "Polygon", "coordinates": raised}))
        assert not found.geometry.has_z
        assert found.repairs == ("Heights were dropped.",)

    def test_the_old_crs_member_is_honoured(self) -> None:
        moved = gpd.GeoSeries([FINE], crs=4326).to_crs(32634)[0]
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32634"}}
        content = geojson(json.loads(shapely.to_geojson(moved)), crs=crs)
        found = read_boundary(content)
        assert found.area_ha == pytest.approx(AREA_HA, rel=1e-6)
        assert found.geometry.hausdorff_distance(SHAPE) < 1e-6

    def test_an_unknown_crs_is_refused(self) -> None:
        crs = {"type": "name", "properties": {"name": "our forest grid"}}
        assert "our forest grid" in refusal(geojson(POLYGON, crs=crs))

    def test_a_linked_crs_is_refused(self) -> None:
        crs = {"type": "link", "properties": {"href": "http://example.org/crs"}}
        assert "crs member without a name" in refusal(geojson(POLYGON, crs=crs))


class TestArea:
    def test_it_is_geodesic_with_the_hole_taken_out(self) -> None:
        outer, hole = (
            abs(GEOD.polygon_area_perimeter([x for x, _ in points], [y for _, y in points])[0])
            for points in (OUTER, HOLE)
        )
        found = read_boundary(geojson(POLYGON)).area_ha
        assert found == pytest.approx((outer - hole) / 10_000, rel=3e-5)

    def test_a_degree_cell_is_the_integral_of_the_ellipsoid(self) -> None:
        # area element M N cos(latitude), WGS 84, between the parallels 44 and 45 north
        a, e2 = 6_378_137.0, 0.00669437999014
        latitude = np.radians(np.linspace(44, 45, 100_001))
        element = a**2 * (1 - e2) * np.cos(latitude) / (1 - e2 * np.sin(latitude) ** 2) ** 2
        expected_ha = math.radians(1) * float(np.trapezoid(element, latitude)) / 10_000
        found = read_boundary(geojson(square(10, 44, 1)))
        assert found.area_ha == pytest.approx(expected_ha, rel=1e-8)

    def test_the_sample_polygons_have_their_stated_hectares(self) -> None:
        path = SAMPLES / "s2-l2a-romania" / "projects.geojson"
        areas = {
            name: round(read_boundary(path, feature=name).area_ha, 1)
            for name in ("RO-STABLE", "RO-HARVEST", "RO-PASTURE")
        }
        assert areas == {"RO-STABLE": 6.1, "RO-HARVEST": 23.4, "RO-PASTURE": 1.9}

    def test_a_square_metre_is_too_small(self) -> None:
        assert "less than a square metre" in refusal(geojson(square(22, 45, 1e-6)))

    def test_a_continent_is_too_large(self) -> None:
        assert "more than 10000000" in refusal(geojson(square(0, 0, 10)))


KML = (
    '<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder>'
    '<Placemark id="p1"><name>Stand 7</name>{extra}<MultiGeometry><Polygon><outerBoundaryIs>'
    "<LinearRing><coordinates>\n{outer}\n</coordinates></LinearRing></outerBoundaryIs>"
    "<innerBoundaryIs><LinearRing><coordinates>{hole}</coordinates></LinearRing>"
    "</innerBoundaryIs></Polygon></MultiGeometry></Placemark></Folder></Document></kml>"
)


def kml(extra: str = "") -> bytes:
    def text(points: list[list[float]]) -> str:
        return " ".join(f"{lon},{lat},0" for lon, lat in points)

    return KML.format(outer=text(OUTER), hole=text(HOLE), extra=extra).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class TestKml:
    def test_holes_folders_and_names(self) -> None:
        found = read_boundary(kml())
        assert found.geometry.equals(SHAPE)
        assert found.name == "Stand 7"

    def test_kmz(self) -> None:
        content = zipped({"doc.kml": kml(), "files/icon.png": b"\x89PNG"})
        assert read_boundary(content).geometry.equals(SHAPE)

    def test_a_point_beside_the_polygon_is_left_out_and_said(self) -> None:
        point = "<Point><coordinates>22.1,45.2</coordinates></Point>"
        assert "Points beside the polygons were left out." in read_boundary(kml(point)).repairs

    def test_a_line_beside_the_polygon_is_refused(self) -> None:
        line = "<LineString><coordinates>22.1,45.2 22.2,45.2</coordinates></LineString>"
        assert "LineString beside its polygons" in refusal(kml(line))

    def test_entities_are_refused(self) -> None:
        bomb = b'<!DOCTYPE kml [<!ENTITY a "aaaaaaaa">]><kml>&a;</kml>'
        assert "XML entities" in refusal(bomb)

    def test_a_kml_cut_off_is_refused(self) -> None:
        assert "not complete XML" in refusal(kml()[:200])

    def test_coordinates_that_are_no_numbers_are_refused(self) -> None:
        assert "lon,lat" in refusal(kml().replace(b"22.1,45.2,0", b"22.1;45.2", 1))


def frame(crs: int | None, **columns: Any) -> gpd.GeoDataFrame:
    table = gpd.GeoDataFrame({"name": ["Stand 7"], **columns}, geometry=[FINE], crs=4326)
    return (
        table
        if crs == 4326
        else table.to_crs(crs)
        if crs
        else table.set_crs(None, allow_override=True)
    )


def geopackage(folder: Path, table: gpd.GeoDataFrame) -> bytes:
    path = folder / "x.gpkg"
    table.to_file(path, driver="GPKG", layer="stands")
    return path.read_bytes()


def shapefile(folder: Path, table: gpd.GeoDataFrame) -> dict[str, bytes]:
    table.to_file(folder / "stand.shp")
    return {p.name: p.read_bytes() for p in folder.glob("stand.*")}


class TestTables:
    @pytest.mark.parametrize("crs", [4326, 32634, 3035, 3857, 4258, 3844])
    def test_a_geopackage_in_any_reference_system(self, crs: int, tmp_path: Path) -> None:
        found = read_boundary(geopackage(tmp_path, frame(crs)))
        assert found.area_ha == pytest.approx(AREA_HA, rel=1e-5)
        assert found.geometry.hausdorff_distance(SHAPE) < 1e-5
        assert found.name == "Stand 7"

    @pytest.mark.parametrize("folder", ["", "deep/down/"])
    @pytest.mark.parametrize("crs", [4326, 32634])
    def test_a_zipped_shapefile_also_in_a_folder(
        self, folder: str, crs: int, tmp_path: Path
    ) -> None:
        members = shapefile(tmp_path, frame(crs))
        found = read_boundary(zipped({folder + name: part for name, part in members.items()}))
        assert found.area_ha == pytest.approx(AREA_HA, rel=1e-5)
        assert found.repairs == ()

    def test_without_its_prj_a_shapefile_is_refused_with_the_fix(self, tmp_path: Path) -> None:
        members = shapefile(tmp_path, frame(4326))
        del members["stand.prj"]
        assert "no coordinate reference system. Add its .prj file" in refusal(zipped(members))

    def test_without_its_index_a_shapefile_is_refused(self, tmp_path: Path) -> None:
        members = shapefile(tmp_path, frame(4326))
        del members["stand.shx"]
        assert "lacks .shx" in refusal(zipped(members))

    def test_a_bare_shp_is_refused_with_the_fix(self, tmp_path: Path) -> None:
        assert "Zip it" in refusal(shapefile(tmp_path, frame(4326))["stand.shp"])

    def test_two_shapefiles_in_one_zip_are_refused(self, tmp_path: Path) -> None:
        members = shapefile(tmp_path, frame(4326))
        twice = {**members, **{f"other/{name}": part for name, part in members.items()}}
        assert "2 shapefiles" in refusal(zipped(twice))

    def test_a_cut_shapefile_is_refused(self, tmp_path: Path) -> None:
        members = shapefile(tmp_path, frame(4326))
        members["stand.shp"] = members["stand.shp"][:120]
        assert "feature without geometry" in refusal(zipped(members))

    def test_a_geopackage_of_two_layers_is_refused_with_their_names(self, tmp_path: Path) -> None:
        geopackage(tmp_path, frame(4326))
        frame(4326).to_file(tmp_path / "x.gpkg", driver="GPKG", layer="roads")
        message = refusal((tmp_path / "x.gpkg").read_bytes())
        assert "stands" in message
        assert "roads" in message

    def test_a_virtual_table_is_refused(self, tmp_path: Path) -> None:
        geopackage(tmp_path, frame(4326))
        connection = sqlite3.connect(tmp_path / "x.gpkg")
        connection.execute("CREATE VIRTUAL TABLE evil USING fts4(x)")
        connection.commit()
        connection.close()
        assert "virtual table evil" in refusal((tmp_path / "x.gpkg").read_bytes())

    def test_another_sqlite_file_is_refused(self, tmp_path: Path) -> None:
        connection = sqlite3.connect(tmp_path / "x.db")
        connection.execute("CREATE TABLE t(a)")
        connection.commit()
        connection.close()
        assert "not a GeoPackage" in refusal((tmp_path / "x.db").read_bytes())

    def test_a_cut_geopackage_is_refused(self, tmp_path: Path) -> None:
        content = geopackage(tmp_path, frame(4326))
        assert "damaged" in refusal(content[:5000])


class TestSeveralFeatures:
    def test_separate_polygons_are_one_area_of_parts(self) -> None:
        content = collection(
            {"properties": {}, "geometry": square(22, 45)},
            {"properties": {}, "geometry": square(22.5, 45)},
        )
        found = read_boundary(content)
        assert len(found.geometry.geoms) == 2
        assert found.repairs == ()

    def test_neighbours_that_share_an_edge_are_joined_and_it_is_said(self) -> None:
        content = collection(
            {"properties": {}, "geometry": square(22, 45)},
            {"properties": {}, "geometry": square(22.01, 45)},
        )
        found = read_boundary(content)
        assert len(found.geometry.geoms) == 1
        assert found.repairs == ("Parts that touch were joined.",)

    def test_parts_that_overlap_are_refused_with_hectares_and_place(self) -> None:
        content = collection(
            {"properties": {}, "geometry": square(22, 45)},
            {"properties": {}, "geometry": square(22.005, 45)},
        )
        message = refusal(content)
        assert "overlap by 43.8" in message
        assert "longitude 22.007500, latitude 45.005" in message

    def test_an_overlap_below_a_hundredth_hectare_is_joined_and_said(self) -> None:
        content = collection(
            {"properties": {}, "geometry": square(22, 45)},
            {"properties": {}, "geometry": square(22.01 - 1e-6, 45)},
        )
        found = read_boundary(content)
        assert len(found.geometry.geoms) == 1
        assert "overlap by 0.0088 ha" in found.repairs[0]

    def test_the_same_part_twice_is_dropped_and_said(self) -> None:
        part = {"properties": {}, "geometry": square(22, 45)}
        found = read_boundary(collection(part, part))
        assert len(found.geometry.geoms) == 1
        assert "stood there twice" in found.repairs[0]

    projects = collection(
        {"id": "A", "properties": {"project_id": "P-1"}, "geometry": square(22, 45)},
        {"id": "B", "properties": {"project_id": "P-2", "name": "x"}, "geometry": square(23, 45)},
    )

    def test_several_projects_are_refused_with_their_ids(self) -> None:
        assert "2 projects (P-1, P-2)" in refusal(self.projects)

    @pytest.mark.parametrize("key", ["B", "P-2", "x"])
    def test_one_is_chosen_by_id_project_or_name(self, key: str) -> None:
        found = read_boundary(self.projects, feature=key)
        assert found.name == key
        assert found.geometry.bounds[0] == 23

    def test_a_path_may_name_the_feature(self, tmp_path: Path) -> None:
        path = tmp_path / "p.geojson"
        path.write_bytes(self.projects)
        assert read_boundary(f"{path}#P-1").geometry.bounds[0] == 22

    def test_a_path_with_a_hash_in_its_name_is_a_path(self, tmp_path: Path) -> None:
        path = tmp_path / "p#1.geojson"
        path.write_bytes(geojson(POLYGON))
        assert read_boundary(path).name == "Stand 7"

    def test_an_unknown_feature_lists_those_there_are(self) -> None:
        with pytest.raises(BadBoundary, match="Choose one of: A, B"):
            read_boundary(self.projects, feature="C")


A, B, C, D = (22.0, 45.0), (22.01, 45.0), (22.01, 45.01), (22.0, 45.01)


class TestRepairs:
    def whole(self, content: bytes) -> tuple[str, ...]:
        """Give the repairs of what must come out as the square A B C D."""
        found = read_boundary(content)
        assert found.geometry.equals(shapely.Polygon([A, B, C, D]))
        assert found.geometry.is_valid
        return found.repairs

    def test_an_open_ring_is_closed(self) -> None:
        assert self.whole(ring(A, B, C, D)) == (
            "A ring was closed at longitude 22.000000, latitude 45.000000.",
        )

    def test_repeated_points_are_removed(self) -> None:
        repairs = self.whole(ring(A, B, B, B, C, D, A))
        assert repairs == (
            "Repeated points were removed, the first near longitude 22.010000, latitude 45.000000.",
        )

    def test_a_ring_drawn_the_other_way_is_turned(self) -> None:
        assert self.whole(ring(A, D, C, B, A)) == (
            "Rings were turned to the direction that the format asks for.",
        )

    def test_a_spike_without_width_is_removed(self) -> None:
        repairs = self.whole(ring(A, B, (22.03, 45.0), B, C, D, A))
        assert repairs == (
            "A spike without width was removed at longitude 22.030000, latitude 45.000000.",
        )

    def test_a_spike_at_the_closing_point_is_removed(self) -> None:
        assert len(self.whole(ring((21.99, 45.0), A, B, C, D, A, (21.99, 45.0)))) == 1

    def test_many_spikes_are_removed_in_few_sentences(self) -> None:
        edge = [(22.0 + n * 1e-5, 45.0) for n in range(1, 1000)]
        combed = [p for x, y in edge for p in ((x, y), (x, y - 0.001), (x, y))]
        repairs = self.whole(ring(A, *combed, B, C, D, A))
        assert len(repairs) <= 21
        assert repairs[-1] == "Further repairs of these kinds were made."

    def test_a_spike_of_several_points_is_removed(self) -> None:
        out = [(22.02, 45.0), (22.03, 45.0), (22.04, 45.0)]
        assert len(self.whole(ring(A, B, *out, *reversed(out[:2]), B, C, D, A))) >= 1

    def test_a_ring_that_touches_itself_is_split_where_it_does(self) -> None:
        # a hole drawn as a loop of the outer ring, touching it at one point
        inner = [(22.002, 45.004), (22.006, 45.006), (22.004, 45.002)]
        content = ring(A, *inner, A, B, C, D, A)
        found = read_boundary(content)
        assert "touches itself" in found.repairs[0]
        whole, hole = shapely.Polygon([A, B, C, D]), shapely.Polygon([A, *inner])
        assert found.geometry.area == pytest.approx(whole.area - hole.area, rel=1e-9)

    @given(
        start=st.integers(0, 3),
        repeat=st.lists(st.integers(0, 3), max_size=3),
        closed=st.booleans(),
    )
    def test_any_start_and_repetition_is_the_same_square(
        self, start: int, repeat: list[int], *, closed: bool
    ) -> None:
        corners = [A, B, C, D]
        points = [corners[(start + n) % 4] for n in range(4)]
        written = [p for n, p in enumerate(points) for _ in range(1 + repeat.count(n))]
        found = read_boundary(ring(*written, *([written[0]] if closed else [])))
        assert found.geometry.equals(shapely.Polygon(corners))


class TestFaults:
    def test_an_outline_that_crosses_itself_names_the_place(self) -> None:
        message = refusal(ring(A, C, B, D, A))
        assert "crosses itself at longitude 22.005000, latitude 45.005000" in message

    def test_the_place_is_in_degrees_whatever_the_file_s_system(self, tmp_path: Path) -> None:
        bow = shapely.Polygon([A, C, B, D])
        table = gpd.GeoDataFrame(geometry=[bow], crs=4326).to_crs(32634)
        assert "longitude 22.0050" in refusal(geopackage(tmp_path, table))

    def test_a_hole_outside_its_outline(self) -> None:
        hole = [[23.0, 45.0], [23.1, 45.0], [23.1, 45.1], [23.0, 45.0]]
        message = refusal(geojson({"type": "Polygon", "coordinates": [OUTER, hole]}))
        assert "a hole lies outside its outline at longitude 23" in message

    def test_a_ring_without_area(self) -> None:
        assert "no area at longitude 22.0" in refusal(ring(A, B, A))
        assert "no area" in refusal(ring(A, A, A, A))

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
    def test_a_coordinate_that_is_no_number(self, value: str) -> None:
        content = ring(A, B, C, D, A).replace(b"22.01", value.encode(), 1)
        assert "no number" in refusal(content)

    @pytest.mark.parametrize("bad", [b'"22.0"', b"null", b"true", b"[]"])
    def test_a_coordinate_of_another_kind(self, bad: bytes) -> None:
        refusal(ring(A, B, C, D, A).replace(b"22.01", bad, 1))

    def test_latitude_and_longitude_swapped(self) -> None:
        message = refusal(ring(*((lat, lon) for lon, lat in ((120.0, 5.0), (121, 5), (121, 6)))))
        assert "the two are swapped" in message

    def test_metres_without_a_reference_system(self) -> None:
        message = refusal(ring((500_000, 5_000_000), (500_100, 5_000_000), (500_000, 5_000_100)))
        assert "not longitude and latitude" in message

    def test_longitudes_beyond_180(self) -> None:
        assert "antimeridian" in refusal(ring((179, 5), (181, 5), (181, 6), (179, 6)))

    def test_an_area_on_both_sides_of_the_antimeridian(self) -> None:
        content = collection(
            {"properties": {}, "geometry": square(179.9, 5)},
            {"properties": {}, "geometry": square(-179.9, 5)},
        )
        assert "antimeridian" in refusal(content)

    def test_coordinates_outside_the_reach_of_their_system(self) -> None:
        crs = {"type": "name", "properties": {"name": "EPSG:3035"}}
        far = {"type": "Polygon", "coordinates": [[[1e12, 1e12], [2e12, 1e12], [1e12, 2e12]]]}
        assert "outside the reach" in refusal(geojson(far, crs=crs))

    @pytest.mark.parametrize(
        ("geometry", "told"),
        [
            ({"type": "Point", "coordinates": [22, 45]}, "holds Point and no polygon"),
            ({"type": "LineString", "coordinates": [[22, 45], [23, 45]]}, "LineString"),
            (None, "without geometry"),
            ({"type": "Polygon", "coordinates": []}, "without geometry"),
            ({"type": "Polygon", "coordinates": [[]]}, "ring without points"),
            ({"type": "Polygon"}, "without geometry"),
            ({"type": "Polygon", "coordinates": 7}, "not lists of number pairs"),
            ({"coordinates": []}, "without a type"),
        ],
    )
    def test_what_is_no_polygon(self, geometry: Any, told: str) -> None:
        assert told in refusal(geojson(geometry))

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "is empty"),
            (b"  \n", "is empty"),
            (b'{"type": "Feature", "geom', "not complete JSON"),
            (b"[1, 2]", "not a GeoJSON object"),
            (b'{"type": "FeatureCollection", "features": []}', "no feature"),
            (b'{"type": "FeatureCollection", "features": [7]}', "no object"),
            (b'{"type": "Topology", "objects": {}}', "no polygon"),
            (b"[" * 100_000, "nested too deeply"),
            (b"%PDF-1.7 ...", "no boundary file known here"),
            (b"\x89PNG\r\n\x1a\n\x00\x00", "no boundary file known here"),
            (b"PK\x03\x04 cut", "damaged or locked zip"),
            (b"lon,lat\n1,2\n", "no boundary file known here"),
        ],
    )
    def test_what_is_no_boundary_file(self, content: bytes, told: str) -> None:
        assert told in refusal(content)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        assert "absent.geojson" in refusal(tmp_path / "absent.geojson")

    def test_a_folder_is_named(self, tmp_path: Path) -> None:
        assert str(tmp_path) in refusal(tmp_path)


class TestTricks:
    def test_a_virtual_data_source_that_points_elsewhere_is_not_followed(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "secret.geojson").write_bytes(geojson(POLYGON))
        trick = tmp_path / "boundary.geojson"
        trick.write_text(
            "<OGRVRTDataSource><OGRVRTLayer name='secret'><SrcDataSource>"
            f"{tmp_path}/secret.geojson</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
        )
        assert "XML of type OGRVRTDataSource" in refusal(trick)

    def test_a_zip_that_unpacks_to_too_much_is_refused(self) -> None:
        bomb = zipped({"doc.kml": b"<kml>" + b" " * 60_000_001})
        assert len(bomb) < 1_000_000
        assert "unpacks to more than" in refusal(bomb)

    def test_a_zip_of_very_many_files_is_refused(self) -> None:
        assert "zip of 1001 files" in refusal(zipped({f"{n}.txt": b"" for n in range(1001)}))

    def test_a_zip_of_something_else_is_refused(self) -> None:
        assert "0 shapefiles and 0 KML" in refusal(zipped({"readme.txt": b"hello"}))

    def test_a_shapefile_that_is_something_else_is_refused(self) -> None:
        members = {f"a{suffix}": b"<OGRVRTDataSource/>" for suffix in (".shp", ".shx", ".dbf")}
        assert "a .shp that is none" in refusal(zipped(members))

    def test_a_file_too_large_is_refused_unread(self, tmp_path: Path) -> None:
        path = tmp_path / "big.geojson"
        with path.open("wb") as file:
            file.truncate(25_000_001)
        assert "more than 25000000 bytes" in refusal(path)


def test_very_many_long_edges_do_not_exhaust_the_machine() -> None:
    teeth = [(10 + n * 0.0002, 0.0 if n % 2 else 9.0) for n in range(3000)]
    outline = ring(*teeth, (10.7, -0.1), (9.9, -0.1))
    assert read_boundary(outline).area_ha > 1_000_000


def test_boundary_intake_is_light() -> None:
    # an upload must not wait for rasters, tables or dask
    code = (
        "import sys, geo.aoi; heavy = {'xarray', 'dask', 'rasterio', 'pandas', 'geopandas'}; "
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
