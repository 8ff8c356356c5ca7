"""The sample imagery is what its list says, whole, and small enough to live in the house."""

from __future__ import annotations

from pathlib import Path

import pystac

from geo.raster_io import sha256_file

SAMPLES = Path("data/samples/catalog")
NOT_LISTED = {"SHA256SUMS", "README.md"}


def listed() -> dict[str, str]:
    lines = (SAMPLES / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_every_file_is_listed_with_its_checksum() -> None:
    found = {
        str(path.relative_to(SAMPLES)): sha256_file(path)
        for path in SAMPLES.rglob("*")
        if path.is_file() and path.name not in NOT_LISTED
    }
    assert found == listed()


def test_it_is_a_stac_catalog_whose_assets_are_all_there() -> None:
    catalog = pystac.Catalog.from_file(str(SAMPLES / "catalog.json"))
    items = list(catalog.get_items(recursive=True))
    hrefs = [Path(str(a.get_absolute_href())) for item in items for a in item.assets.values()]
    assert len(items) == 148
    assert [str(path) for path in hrefs if not path.exists()] == []


def test_it_stays_below_18_megabytes() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 18_000_000


def test_its_readme_gives_source_and_licence_of_both_collections() -> None:
    readme = (SAMPLES / "README.md").read_text()
    assert readme.count("- Origin:") == readme.count("- Licence:") == 2
