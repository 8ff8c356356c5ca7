"""Evidence leaves by its listed name only, checked by content, and never as something that runs."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from api.console.pages.public import png_size
from tests.api.conftest import caller
from tests.api.stage import png

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.testclient import TestClient

    from tests.api.conftest import Scene
    from tests.api.stage import Stage

TYPES = {
    "estimate.json": ("application/json", "inline"),
    "map.png": ("image/png", "inline"),
    "timeseries.png": ("image/png", "inline"),
    "timeseries.csv": ("text/csv; charset=utf-8", "inline"),
    "manifest.json": ("application/json", "inline"),
    "inputs/B04.tif": (
        "image/tiff; application=geotiff; profile=cloud-optimized",
        "attachment",
    ),
}


def test_files_are_listed_with_checksums_that_hold(scene: Scene) -> None:
    listed = scene.public.get(f"/v1/reports/{scene.waiting.id}/files").json()
    assert {one["name"] for one in listed["items"]} == set(TYPES)
    for one in listed["items"]:
        content = scene.public.get(one["href"]).content
        assert hashlib.sha256(content).hexdigest() == one["sha256"]
        assert len(content) == one["size_bytes"]


@pytest.mark.parametrize("name", TYPES)
def test_file_has_its_type_and_cannot_run(scene: Scene, name: str) -> None:
    answer = scene.public.get(f"/v1/reports/{scene.waiting.id}/files/{name}")
    kind, how = TYPES[name]
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"].startswith(how)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/manifest.json",
        "/etc/passwd",
        "inputs/%2e%2e/map.png",
        "inputs",
        "MAP.PNG",
        "map.png%00",
        "a" * 501,
    ],
)
def test_name_that_is_not_listed_is_not_there(scene: Scene, name: str) -> None:
    answer = scene.public.get(f"/v1/reports/{scene.waiting.id}/files/{name}")
    assert answer.status_code in (404, 422)
    assert "root:" not in answer.text


def test_known_content_is_not_sent_again(scene: Scene) -> None:
    path = f"/v1/reports/{scene.waiting.id}/files/map.png"
    tag = scene.public.get(path).headers["etag"]
    again = scene.public.get(path, headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""


def test_altered_file_is_not_given_out(stage: Stage, client: TestClient) -> None:
    report = stage.report()
    who = caller(stage, client, None)
    path = f"/v1/reports/{report.id}/files/map.png"
    sha256 = who.get(path).headers["etag"].strip('"')
    stored = stage.settings.evidence_dir / sha256[:2] / sha256[2:]
    stored.chmod(0o644)
    stored.write_bytes(png(90, 40, shade=121))
    answer = who.get(path)
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/evidence-altered"
    page = who.get(f"/projects/{who.get(f'/v1/reports/{report.id}').json()['project_code']}")
    assert page.status_code == 200


def test_lost_store_leaves_the_project_page_standing(stage: Stage, client: TestClient) -> None:
    report = stage.report()
    who = caller(stage, client, None)
    for one in stage.settings.evidence_dir.rglob("*"):
        if one.is_file():
            one.unlink()
    assert who.get(f"/v1/reports/{report.id}/files").status_code == 404
    code = who.get(f"/v1/reports/{report.id}").json()["project_code"]
    page = who.get(f"/projects/{code}")
    assert page.status_code == 200
    assert "has no picture map.png" in page.text


def test_bundle_as_one_file_is_the_same_files(scene: Scene) -> None:
    path = f"/v1/reports/{scene.waiting.id}/evidence.zip"
    first, second = scene.public.get(path), scene.public.get(path)
    assert first.headers["content-type"] == "application/zip"
    assert first.content == second.content
    with zipfile.ZipFile(io.BytesIO(first.content)) as packed:
        assert packed.testzip() is None
        assert set(packed.namelist()) == set(TYPES)
        one = scene.public.get(f"/v1/reports/{scene.waiting.id}/files/map.png").content
        assert packed.read("map.png") == one


def test_size_of_a_picture_is_read_from_its_head(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png(123, 45))
    assert png_size(path) == (123, 45)
    path.write_bytes(b"GIF89a" + bytes(40))
    assert png_size(path) is None
    path.write_bytes(b"\x89PNG")
    assert png_size(path) is None
