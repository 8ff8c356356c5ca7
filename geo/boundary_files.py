"""Boundary files as they come: GeoJSON, KML, KMZ, GeoPackage, zipped shapefile.

Imports errors, numpy; geopandas only where a GeoPackage or a shapefile has to be read. What a
file is, is told by its first bytes, never by its name; GeoJSON and KML are parsed here, so that no
driver can follow a reference to another file or address.
Order: the values, telling formats apart, GeoJSON, KML, archives, GeoPackage and shapefile.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from geo.errors import GeoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_FILE_BYTES = 25_000_000
MAX_UNPACKED_BYTES = 60_000_000
MAX_MEMBERS = 1000
WGS84 = "OGC:CRS84"

Ring = "NDArray[np.float64]"
Polygon = list[Any]
"""Rings, the outer one first; each an array (point, 2 or 3)."""

_SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_SHAPEFILE_MAGIC = b"\x00\x00\x27\x0a"
_GPKG_IDS = (b"GPKG", b"GP10", b"GP11")


class FileFault(GeoError):
    """The file {problem}. {fix}."""


@dataclass(frozen=True)
class RawFeature:
    """One feature of a boundary file, as it stands there."""

    keys: tuple[str, ...]
    """What it can be chosen by: id, `project_id`, name."""
    project_id: str | None
    title: str | None
    polygons: tuple[Polygon, ...]
    others: tuple[str, ...] = ()
    """Types of its geometries that are no polygons."""


@dataclass(frozen=True)
class RawFile:
    """A boundary file, read but not judged."""

    format: str
    features: tuple[RawFeature, ...]
    crs: str | None
    """None where the file does not say."""
    winding: bool
    """Whether the format has a rule for the direction of outer rings (counter-clockwise)."""


def read_raw(content: bytes) -> RawFile:
    """Read the bytes of a boundary file.

    Raises
    ------
    FileFault
        With the problem and the fix, when it is empty, too large, damaged or of another type.
    """
    if not content.strip():
        raise FileFault(problem="is empty", fix="Export the boundary again")
    if len(content) > MAX_FILE_BYTES:
        raise FileFault(
            problem=f"has {len(content)} bytes, more than {MAX_FILE_BYTES}",
            fix="Simplify the boundary",
        )
    if content.startswith(b"PK\x03\x04"):
        return _from_archive(content)
    if content.startswith(b"SQLite format 3\x00"):
        return _from_geopackage(content)
    if content.startswith(_SHAPEFILE_MAGIC):
        raise FileFault(
            problem="is a bare .shp file", fix="Zip it with its .shx, .dbf and .prj files"
        )
    text = _decode(content).lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[")):
        return _from_geojson(text)
    if text.startswith("<"):
        return _from_kml(text)
    raise _wrong_type()


def _wrong_type() -> FileFault:
    return FileFault(
        problem="is no boundary file known here",
        fix="Give GeoJSON, KML, KMZ, GeoPackage or a zipped shapefile",
    )


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        if content.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16" if content[:1] != b"<" else "latin-1")
        raise _wrong_type() from None


def _from_geojson(text: str) -> RawFile:
    try:
        document = json.loads(text)
    except RecursionError:
        raise FileFault(problem="is nested too deeply", fix="Export the boundary again") from None
    except ValueError as error:
        raise FileFault(
            problem=f"is not complete JSON ({error})", fix="Export the boundary again"
        ) from error
    if not isinstance(document, dict):
        raise FileFault(problem="is not a GeoJSON object", fix="Give a Feature or a geometry")
    kind = document.get("type")
    members = document.get("features") if kind == "FeatureCollection" else [document]
    if not isinstance(members, list) or not members:
        raise FileFault(problem="holds no feature", fix="Draw at least one polygon")
    features = tuple(_json_feature(member) for member in members)
    return RawFile("GeoJSON", features, _json_crs(document.get("crs")), winding=True)


def _json_crs(member: object) -> str | None:
    """Honour the `crs` member of GeoJSON before RFC 7946; absent it is WGS 84."""
    if member is None:
        return WGS84
    properties = member.get("properties") if isinstance(member, Mapping) else None
    name = properties.get("name") if isinstance(properties, Mapping) else None
    if not isinstance(name, str):
        raise FileFault(
            problem="has a crs member without a name",
            fix="Write longitude and latitude (WGS 84) and leave crs away",
        )
    return name


def _json_feature(member: object) -> RawFeature:
    if not isinstance(member, Mapping):
        raise FileFault(problem="has a feature that is no object", fix="Export it again")
    if member.get("type") != "Feature":
        polygons, others = _json_geometry(member)
        return RawFeature((), None, None, tuple(polygons), tuple(others))
    properties = member.get("properties")
    facts = properties if isinstance(properties, Mapping) else {}
    keys = [member.get("id"), facts.get("project_id"), facts.get("id"), facts.get("name")]
    geometry = member.get("geometry")
    polygons, others = _json_geometry(geometry) if geometry is not None else ([], [])
    return RawFeature(
        keys=_texts(keys),
        project_id=_text(facts.get("project_id")),
        title=_text(facts.get("name")),
        polygons=tuple(polygons),
        others=tuple(others),
    )


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and str(value).strip() else None


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in map(_text, values) if text))


def _json_geometry(geometry: object) -> tuple[list[Polygon], list[str]]:
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if not isinstance(geometry, Mapping) or not isinstance(kind, str):
        raise FileFault(problem="has a geometry without a type", fix="Export it again")
    if kind == "GeometryCollection":
        polygons, others = [], []
        for part in geometry.get("geometries") or []:
            more, less = _json_geometry(part)
            polygons += more
            others += less
        return polygons, others
    if kind not in {"Polygon", "MultiPolygon"}:
        return [], [kind]
    coordinates = geometry.get("coordinates")
    try:
        parts = [coordinates] if kind == "Polygon" else list(coordinates or [])
        return [[_positions(ring) for ring in part] for part in parts if part], []
    except (TypeError, ValueError) as error:
        raise FileFault(
            problem=f"has a {kind} whose coordinates are not lists of number pairs",
            fix="Write [[[lon, lat], ...]]",
        ) from error


def _positions(ring: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    widths = {len(position) for position in ring}
    if len(widths) == 1 and widths <= {2, 3}:
        array = np.array(ring, dtype=np.float64)
    else:
        array = np.array([position[:2] for position in ring], dtype=np.float64).reshape(-1, 2)
    if any(isinstance(number, bool | str) for position in ring for number in position):
        raise ValueError
    return array


def _from_kml(text: str) -> RawFile:
    if "<!DOCTYPE" in text[:2000] or "<!ENTITY" in text:
        raise FileFault(problem="declares XML entities", fix="Export plain KML")
    try:
        root = ET.fromstring(text)  # noqa: S314  # no DOCTYPE, no entities, size limited above
    except ET.ParseError as error:
        raise FileFault(
            problem=f"is not complete XML ({error})", fix="Export the boundary again"
        ) from error
    if _tag(root) != "kml":
        raise FileFault(problem=f"is XML of type {_tag(root)}, not KML", fix="Export it as KML")
    features = tuple(_kml_feature(node) for node in root.iter() if _tag(node) == "Placemark")
    if not features:
        raise FileFault(problem="holds no Placemark", fix="Draw at least one polygon")
    return RawFile("KML", features, WGS84, winding=True)


def _tag(node: ET.Element) -> str:
    return node.tag.rsplit("}", 1)[-1]


def _children(node: ET.Element, *names: str) -> Iterator[ET.Element]:
    return (child for child in node if _tag(child) in names)


def _kml_feature(placemark: ET.Element) -> RawFeature:
    title = next((_text((n.text or "").strip()) for n in _children(placemark, "name")), None)
    data = {
        node.get("name"): "".join(node.itertext()).strip()
        for node in placemark.iter()
        if _tag(node) in {"Data", "SimpleData"}
    }
    project_id = _text(data.get("project_id"))
    polygons = [_kml_polygon(n) for n in placemark.iter() if _tag(n) == "Polygon"]
    others = [
        "LineString" if _tag(n) == "LinearRing" else _tag(n)
        for n in placemark.iter()
        if _tag(n) in {"Point", "LineString", "Track"}
    ]
    return RawFeature(
        keys=_texts([placemark.get("id"), project_id, title]),
        project_id=project_id,
        title=title,
        polygons=tuple(polygons),
        others=tuple(others),
    )


def _kml_polygon(polygon: ET.Element) -> Polygon:
    outer = list(_children(polygon, "outerBoundaryIs"))
    if len(outer) != 1:
        raise FileFault(problem="has a Polygon without one outer ring", fix="Export it again")
    sides = [*outer, *_children(polygon, "innerBoundaryIs")]
    return [_kml_ring(ring) for side in sides for ring in _children(side, "LinearRing")]


def _kml_ring(ring: ET.Element) -> NDArray[np.float64]:
    text = " ".join((node.text or "") for node in _children(ring, "coordinates"))
    try:
        return _positions([[float(n) for n in tuple_.split(",")] for tuple_ in text.split()])
    except ValueError as error:
        raise FileFault(
            problem="has coordinates that are not lon,lat[,height]", fix="Export it again"
        ) from error


def _from_archive(content: bytes) -> RawFile:
    """KMZ or zipped shapefile; the files may lie in a folder."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if len(members) > MAX_MEMBERS:
                raise FileFault(problem=f"is a zip of {len(members)} files", fix="Pack one layer")
            names = [info.filename for info in members if "__MACOSX" not in info.filename]
            kml = [name for name in names if name.lower().endswith(".kml")]
            shapes = [name for name in names if name.lower().endswith(".shp")]
            if len(shapes) == 1 and not kml:
                stem = shapes[0][:-4]
                parts = {
                    PurePosixPath(name).suffix.lower(): _unpack(archive, name)
                    for name in names
                    if name[: len(stem)] == stem and name[len(stem) :].lower() in _SHAPEFILE_PARTS
                }
                return _from_shapefile(parts)
            if kml and not shapes:
                main = next((n for n in kml if PurePosixPath(n).name == "doc.kml"), kml[0])
                return _from_kml(_decode(_unpack(archive, main)).lstrip("\ufeff \t\r\n"))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise FileFault(
            problem=f"is a damaged or locked zip ({error})", fix="Pack it again without a password"
        ) from error
    raise FileFault(
        problem=f"is a zip with {len(shapes)} shapefiles and {len(kml)} KML files",
        fix="Pack exactly one boundary",
    )


def _unpack(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        content = member.read(MAX_UNPACKED_BYTES + 1)
    if len(content) > MAX_UNPACKED_BYTES:
        raise FileFault(
            problem=f"unpacks to more than {MAX_UNPACKED_BYTES} bytes", fix="Simplify the boundary"
        )
    return content


def _from_shapefile(parts: Mapping[str, bytes]) -> RawFile:
    missing = [suffix for suffix in (".shp", ".shx", ".dbf") if suffix not in parts]
    if missing or not parts[".shp"].startswith(_SHAPEFILE_MAGIC):
        what = f"lacks {', '.join(missing)}" if missing else "has a .shp that is none"
        raise FileFault(problem=f"{what}", fix="Zip the .shp, .shx, .dbf and .prj together")
    with tempfile.TemporaryDirectory() as folder:
        for suffix, content in parts.items():
            Path(folder, f"boundary{suffix}").write_bytes(content)
        return _from_table(Path(folder, "boundary.shp"), "shapefile", crs_fix="Add its .prj file")


def _from_geopackage(content: bytes) -> RawFile:
    if content[68:72] not in _GPKG_IDS:
        raise FileFault(problem="is SQLite but not a GeoPackage", fix="Export it as GeoPackage")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "boundary.gpkg")
        path.write_bytes(content)
        _check_geopackage(path)
        return _from_table(
            path, "GeoPackage", crs_fix="Give the layer its coordinate reference system"
        )


def _check_geopackage(path: Path) -> None:
    """Refuse tables that fetch their rows elsewhere, and anything but one polygon layer."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        virtual = connection.execute(
            "SELECT name FROM sqlite_master WHERE sql LIKE 'create virtual%' "
            "AND sql NOT LIKE '%using rtree%'"
        ).fetchall()
        layers = connection.execute("SELECT table_name FROM gpkg_geometry_columns").fetchall()
    except sqlite3.DatabaseError as error:
        raise FileFault(
            problem=f"is a damaged GeoPackage ({error})", fix="Export the boundary again"
        ) from error
    finally:
        connection.close()
    if virtual:
        raise FileFault(problem=f"has the virtual table {virtual[0][0]}", fix="Export it again")
    if len(layers) != 1:
        named = ", ".join(str(layer[0]) for layer in layers) or "none"
        raise FileFault(
            problem=f"has {len(layers)} layers ({named})", fix="Export the boundary's layer alone"
        )


def _from_table(path: Path, kind: str, *, crs_fix: str) -> RawFile:
    import geopandas as gpd  # noqa: PLC0415  # 1 s to import; GeoJSON and KML do without
    from pyogrio.errors import DataSourceError, FieldError  # noqa: PLC0415

    try:
        table = gpd.read_file(path, engine="pyogrio")
    except (DataSourceError, FieldError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()).replace(str(path), "it")[:160]
        raise FileFault(
            problem=f"is a damaged {kind} ({reason})", fix="Export the boundary again"
        ) from error
    if not isinstance(table, gpd.GeoDataFrame) or table.empty:
        raise FileFault(problem="holds no feature", fix="Draw at least one polygon")
    if table.crs is None:
        raise FileFault(problem="has no coordinate reference system", fix=crs_fix)
    columns = {str(name).lower(): name for name in table.columns if name != table.geometry.name}
    features = tuple(
        _table_feature(row, columns, geometry_column=table.geometry.name) for _, row in _rows(table)
    )
    return RawFile(kind, features, table.crs.to_wkt(), winding=False)


def _rows(table: Any) -> Iterator[tuple[Any, Any]]:
    rows: Iterator[tuple[Any, Any]] = table.iterrows()
    return rows


def _table_feature(row: Any, columns: Mapping[str, Any], *, geometry_column: str) -> RawFeature:
    facts = {name: row[column] for name, column in columns.items()}
    geometry = row[geometry_column]
    polygons: list[Polygon] = []
    others: list[str] = []
    found = getattr(geometry, "geoms", [geometry]) if hasattr(geometry, "geom_type") else []
    for part in found:
        if part.geom_type == "Polygon":
            rings = [part.exterior, *part.interiors]
            polygons += [[np.asarray(ring.coords) for ring in rings]] if not part.is_empty else []
        else:
            others.append(part.geom_type)
    return RawFeature(
        keys=_texts([facts.get("project_id"), facts.get("id"), facts.get("name")]),
        project_id=_text(facts.get("project_id")),
        title=_text(facts.get("name")),
        polygons=tuple(polygons),
        others=tuple(others),
    )
