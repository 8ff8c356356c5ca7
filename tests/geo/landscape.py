"""Small made-up landscapes as real files: GeoTIFFs, STAC catalogs, boundaries, lazy checks.

Pictures have no symmetry, so that a turned or shifted one cannot pass.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from geo.aoi import geodesic_area_ha
from geo.types import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

UTM = "EPSG:32634"
ORIGIN = (500_000.0, 5_000_000.0)
"""Upper left corner of every made-up scene, UTM zone 34 north: 21 E, 45.15 N."""

SIZE = 32
TEN_METRES = Affine(10.0, 0.0, ORIGIN[0], 0.0, -10.0, ORIGIN[1])


def ten_metre_grid(rows: int = SIZE, columns: int = SIZE) -> GeoBox:
    return GeoBox((rows, columns), TEN_METRES, UTM)


def quiet(_: str) -> None:
    """Take progress and say nothing."""


def write_tiff(
    path: Path,
    values: NDArray[Any],
    *,
    transform: Affine = TEN_METRES,
    crs: str = UTM,
    nodata: float | None = 0,
) -> Path:
    """Write a plain GeoTIFF with rasterio alone (not with the code under test)."""
    bands = values[np.newaxis] if values.ndim == 2 else values
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands.shape[0],
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=bands.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
        tiled=True,
        blockxsize=16,
        blockysize=16,
        compress="deflate",
    ) as dataset:
        dataset.write(bands)
    return path


def boundary_on(grid: GeoBox, *, inset: float = 4.0, name: str = "toy") -> Boundary:
    """Give a slanted quadrilateral well inside a grid, in WGS 84."""
    rows, columns = grid.shape
    corners = [
        (inset, inset + 1.3),
        (columns - inset - 0.7, inset),
        (columns - inset, rows - inset - 0.4),
        (inset + 2.2, rows - inset),
    ]
    ring = [grid.transform @ corner for corner in corners]
    from pyproj import Transformer  # noqa: PLC0415 - only this function needs it

    to_wgs84 = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    polygon = shapely.Polygon([to_wgs84.transform(x, y) for x, y in ring])
    area = shapely.MultiPolygon([shapely.orient_polygons(polygon)])
    return Boundary(name=name, geometry=area, area_ha=geodesic_area_ha(area))


@dataclass
class Shot:
    """One made-up item: its bands by asset key, with what its metadata say."""

    item_id: str
    day: str | tuple[str, str]
    bands: Mapping[str, NDArray[Any]]
    properties: dict[str, Any] = field(default_factory=dict)
    said: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Asset key to its raster:bands entry."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Asset key to its common name."""
    transform: Affine = TEN_METRES
    crs: str = UTM
    bbox: tuple[float, float, float, float] = (20.9, 45.0, 21.2, 45.3)


def write_catalog(folder: Path, shots: Sequence[Shot], *, collection: str = "toy") -> Path:
    """Write shots as a static STAC catalog; give the path of catalog.json."""
    links = []
    for shot in shots:
        place = folder / collection / shot.item_id
        for key, values in shot.bands.items():
            factor = SIZE // values.shape[-1] if values.shape[-1] < SIZE else 1
            write_tiff(
                place / f"{key}.tif",
                values,
                transform=shot.transform @ Affine.scale(factor),
                crs=shot.crs,
            )
        (place / "item.json").write_text(json.dumps(item_document(shot, collection)))
        links.append({"rel": "item", "href": f"./{shot.item_id}/item.json"})
    node = {"type": "Collection", "id": collection, "stac_version": "1.0.0", "links": links}
    (folder / collection).mkdir(parents=True, exist_ok=True)
    (folder / collection / "collection.json").write_text(json.dumps(node))
    root = {
        "type": "Catalog",
        "id": "root",
        "stac_version": "1.0.0",
        "links": [{"rel": "child", "href": f"./{collection}/collection.json"}],
    }
    (folder / "catalog.json").write_text(json.dumps(root))
    return folder / "catalog.json"


def item_document(shot: Shot, collection: str) -> dict[str, Any]:
    when: dict[str, Any] = (
        {"datetime": f"{shot.day}T10:00:00Z"}
        if isinstance(shot.day, str)
        else {
            "datetime": None,
            "start_datetime": f"{shot.day[0]}T00:00:00Z",
            "end_datetime": f"{shot.day[1]}T23:59:59Z",
        }
    )
    west, south, east, north = shot.bbox
    assets = {}
    for key in shot.bands:
        asset: dict[str, Any] = {"href": f"./{key}.tif"}
        if key in shot.said:
            asset["raster:bands"] = [shot.said[key]]
        if key in shot.names:
            asset["eo:bands"] = [{"name": key, "common_name": shot.names[key]}]
        assets[key] = asset
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": shot.item_id,
        "collection": collection,
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {**when, **shot.properties},
        "assets": assets,
        "links": [],
    }


S2_BANDS = ("B02", "B04", "B08", "B11", "B12")
S2_SAID = {key: {"data_type": "uint16", "scale": 0.0001, "offset": 0.0} for key in S2_BANDS}


def sentinel_shot(
    item_id: str, day: str, *, seed: int, cloud: float = 0.2, size: int = SIZE, **changes: Any
) -> Shot:
    """Give a green forest with some cloud, drawn from a seed; 20 m bands have half the pixels."""
    draw = np.random.default_rng(seed)
    half = size // 2
    bands: dict[str, NDArray[Any]] = {
        "B02": draw.integers(150, 400, (size, size)).astype(np.uint16),
        "B04": draw.integers(150, 500, (size, size)).astype(np.uint16),
        "B08": draw.integers(3000, 5000, (size, size)).astype(np.uint16),
        "B11": draw.integers(1000, 2000, (half, half)).astype(np.uint16),
        "B12": draw.integers(500, 1000, (half, half)).astype(np.uint16),
        "SCL": np.where(draw.random((half, half)) < cloud, 9, 4).astype(np.uint8),
    }
    properties = {"constellation": "sentinel-2", "instruments": ["msi"]}
    settings: dict[str, Any] = {"properties": properties, "said": S2_SAID, **changes}
    return Shot(item_id=item_id, day=day, bands=bands, **settings)


def four_summers(*, size: int = SIZE, dates: int = 4) -> list[Shot]:
    """Give summers 2017 to 2020 with `dates` shots each."""
    return [
        sentinel_shot(
            f"S2_{year}_{number}", f"{year}-07-{3 + 5 * number:02d}", seed=seed, size=size
        )
        for seed, (year, number) in enumerate(
            ((year, number) for year in range(2017, 2021) for number in range(dates)), start=1
        )
    ]


class ComputedError(AssertionError):
    """Something was computed where nothing may be."""


@contextmanager
def assert_lazy() -> Iterator[None]:
    """Fail when anything inside asks dask for a result."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise ComputedError

    with dask.config.set(scheduler=refuse):
        yield
