"""Uploads are read by geo's own readers: the command line's words, every bad row, no path."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from api.guard import BODY_LIMIT_BYTES, UPLOAD_LIMIT_BYTES
from geo.aoi import read_boundary
from geo.errors import BadInput
from geo.plots import read_plots
from tests.world import square

if TYPE_CHECKING:
    from pathlib import Path

    from httpx2 import Response

    from tests.api.conftest import Scene

BOW_TIE = {
    "type": "Polygon",
    "coordinates": [[[8.0, 45.0], [8.01, 45.01], [8.01, 45.0], [8.0, 45.01], [8.0, 45.0]]],
}


def geojson(geometry: dict[str, Any], **properties: Any) -> bytes:
    """Write a feature."""
    feature = {"type": "Feature", "properties": properties, "geometry": geometry}
    return json.dumps(feature).encode()


def project(scene: Scene, code: str) -> str:
    """Register a project without land."""
    body = {"code": code, "name": code, "country": "RO", "activity": "trees"}
    assert scene.developer.post("/v1/projects", json=body).status_code == 201
    return code


def upload(scene: Scene, code: str, name: str, content: bytes, **data: str) -> Response:
    """Upload a boundary."""
    return scene.developer.post(
        f"/v1/projects/{code}/areas", files={"file": (name, content)}, data=data
    )


def test_boundary_comes_back_as_it_was_understood(scene: Scene) -> None:
    code = project(scene, "UP-1")
    answer = upload(scene, code, "x.geojson", geojson(square(5, 44).__geo_interface__, name="A"))
    area = answer.json()
    assert answer.status_code == 201
    assert area["name"] == "A"
    assert area["area_ha"] == pytest.approx(88.3, abs=1.5)
    assert area["repairs"] == []
    feature = scene.public.get(f"/v1/areas/{area['id']}/boundary").json()
    assert feature["type"] == "Feature"
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert feature["properties"]["boundary_sha256"] == area["boundary_sha256"]
    assert scene.public.get(f"/v1/projects/{code}").json()["state"] == "active"


def test_area_without_a_name_is_called_after_its_file(scene: Scene) -> None:
    code = project(scene, "UP-8")
    place = geojson(square(6.5, 44).__geo_interface__)
    assert upload(scene, code, "../north slope.geojson", place).json()["name"] == "north_slope"


def test_boundary_is_refused_in_the_words_of_the_command_line(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "bow.geojson"
    path.write_bytes(geojson(BOW_TIE))
    with pytest.raises(BadInput) as told:
        read_boundary(path)
    answer = upload(scene, project(scene, "UP-2"), "bow.geojson", path.read_bytes())
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/file-refused"
    assert answer.json()["detail"] == str(told.value).replace(str(path), "bow.geojson")
    assert scene.public.get("/v1/projects/UP-2/areas").json()["items"] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.geojson", b""),
        ("text.geojson", b"not a boundary"),
        ("null.geojson", b"null"),
        ("line.geojson", geojson({"type": "LineString", "coordinates": [[1, 2], [3, 4]]})),
        ("zip.zip", b"PK\x03\x04 broken"),
        ("kml.kml", b"<kml><unclosed>"),
        ("bomb.kml", b'<!DOCTYPE k [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><kml>&b;</kml>'),
        ("outside.kml", b'<!DOCTYPE k [<!ENTITY a SYSTEM "file:///etc/passwd">]><kml>&a;</kml>'),
        ("db.gpkg", b"SQLite format 3\x00" + bytes(200)),
        ("../../etc/passwd", b"{}"),
        ("deep.geojson", b"[" * 100_000),
    ],
)
def test_bad_boundary_is_refused_in_a_sentence(scene: Scene, name: str, content: bytes) -> None:
    code = f"BAD-{sha256(name.encode() + content).hexdigest()[:8].upper()}"
    answer = upload(scene, project(scene, code), name, content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "/problems/file-refused"
    assert "root:" not in answer.text
    assert "/tmp" not in answer.text  # noqa: S108


def test_land_of_another_project_is_refused_with_its_code_and_hectares(scene: Scene) -> None:
    first, second = project(scene, "UP-3"), project(scene, "UP-4")
    place = geojson(square(5.5, 44).__geo_interface__)
    assert upload(scene, first, "x.geojson", place).status_code == 201
    half = geojson(square(5.505, 44).__geo_interface__)
    answer = upload(scene, second, "x.geojson", half)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/land-overlap"
    assert answer.json()["fields"]["project"] == "UP-3"
    assert float(answer.json()["fields"]["overlap_ha"]) == pytest.approx(44.1, abs=1.0)


PLOTS = b"plot_id,lon,lat,date,area_ha,agb_t_per_ha\nA,22.1,45.2,2016-03-01,0.05,180\n"
BAD_PLOTS = PLOTS + b'B,22.1,45.2,2016-03-01,0.05,"12,5"\nC,220,45.2,1.3.2016,0.05,-4\n'


def test_plots_are_stored_by_their_content(scene: Scene) -> None:
    code = project(scene, "UP-5")
    path = f"/v1/projects/{code}/plots"
    answers = [scene.developer.post(path, files={"file": ("p.csv", PLOTS)}) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["measurements"] == 1
    assert answers[0].json()["measured_from"] == "2016-03-01"


def _rows(fault: BadInput) -> list[str]:
    rows = fault.fields["rows"]
    assert isinstance(rows, tuple)
    return [str(row) for row in rows]


def test_every_bad_row_of_the_plots_is_named_at_once(scene: Scene) -> None:
    with pytest.raises(BadInput) as told:
        read_plots(BAD_PLOTS)
    answer = scene.developer.post(
        f"/v1/projects/{project(scene, 'UP-6')}/plots", files={"file": ("p.csv", BAD_PLOTS)}
    )
    assert answer.status_code == 400
    assert answer.json()["fields"]["rows"] == _rows(told.value)
    assert len(answer.json()["fields"]["rows"]) >= 3
    assert answer.json()["detail"].startswith("p.csv")


def test_announced_upload_that_is_too_large_is_refused_unread(scene: Scene) -> None:
    code = project(scene, "UP-7")
    answer = upload(scene, code, "big.geojson", bytes(UPLOAD_LIMIT_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/body-too-large"
    assert answer.headers["content-type"] == "application/problem+json"


def test_body_that_grows_without_saying_so_is_stopped(scene: Scene) -> None:
    def endless() -> Any:
        for _ in range(BODY_LIMIT_BYTES // 1000 + 2):
            yield b" " * 1000

    answer = scene.developer.post(
        "/v1/projects", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
