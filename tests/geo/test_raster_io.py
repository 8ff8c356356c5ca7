"""Raster files: what is opened, what is refused, what is written, what a digest means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio

from geo.errors import SourceUnavailable
from geo.raster_io import (
    UnreadableRaster,
    array_digest,
    pixel_digest,
    read_bands,
    read_header,
    read_over,
    read_window,
    sha256_file,
    write_cog,
)
from tests.geo.landscape import SIZE, ten_metre_grid, write_tiff

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = np.random.default_rng(7).integers(1, 4000, (SIZE, SIZE)).astype(np.uint16)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write_tiff(tmp_path / "red.tif", PICTURE)


class TestReading:
    def test_the_header_is_the_grid_the_type_and_nodata(self, picture: Path) -> None:
        header = read_header(str(picture))
        assert header.geobox == ten_metre_grid()
        assert (header.dtype, header.nodata, header.count) == ("uint16", 0, 1)

    def test_a_window_is_the_stored_numbers(self, picture: Path) -> None:
        window = read_window(str(picture), rows=(3, 9), columns=(20, 32))
        np.testing.assert_array_equal(window, PICTURE[3:9, 20:32])

    def test_the_part_over_a_grid_comes_with_its_place(self, picture: Path) -> None:
        part = read_over(str(picture), ten_metre_grid()[10:12, 0:5])
        assert part is not None
        assert part.geobox == ten_metre_grid()[9:13, 0:6]
        np.testing.assert_array_equal(part.values, PICTURE[9:13, 0:6])

    def test_the_second_band_is_read_when_asked_for(self, tmp_path: Path) -> None:
        path = write_tiff(tmp_path / "two.tif", np.stack([PICTURE, PICTURE + 1]))
        part = read_over(str(path), ten_metre_grid(), band=2)
        assert part is not None
        np.testing.assert_array_equal(part.values, PICTURE + 1)


def refused(path: Path) -> str:
    with pytest.raises(UnreadableRaster) as caught:
        read_over(str(path), ten_metre_grid())
    return str(caught.value)


class TestRefusing:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "absent.tif cannot be read" in refused(tmp_path / "absent.tif")

    def test_a_file_cut_in_its_header(self, picture: Path) -> None:
        picture.write_bytes(picture.read_bytes()[:40])
        assert "red.tif cannot be read" in refused(picture)

    def test_a_file_cut_in_its_pixels(self, picture: Path) -> None:
        picture.write_bytes(picture.read_bytes()[:-700])
        assert "red.tif cannot be read" in refused(picture)

    def test_a_damaged_block(self, picture: Path) -> None:
        with rasterio.open(picture) as dataset:
            start = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
        content = bytearray(picture.read_bytes())
        content[start : start + 50] = bytes(50)
        picture.write_bytes(bytes(content))
        assert "red.tif cannot be read" in refused(picture)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "red.tif").write_bytes(b"")
        assert "cannot be read" in refused(tmp_path / "red.tif")

    def test_a_virtual_raster_that_points_elsewhere(self, picture: Path) -> None:
        virtual = picture.with_name("virtual.tif")
        virtual.write_text(
            f'<VRTDataset rasterXSize="{SIZE}" rasterYSize="{SIZE}">'
            '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
            f"<SourceFilename>{picture}</SourceFilename>"
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
        assert "cannot be read" in refused(virtual)

    def test_a_path_into_the_virtual_file_systems(self) -> None:
        with pytest.raises(UnreadableRaster, match="neither a file path nor"):
            read_header("/vsizip/some.zip/red.tif")

    @pytest.mark.parametrize(
        "prefix", ["file://", "FILE://", "zip://", "zip+file://", "s3://", "GTIFF_DIR:1:"]
    )
    def test_an_address_with_another_scheme(self, picture: Path, prefix: str) -> None:
        with pytest.raises(UnreadableRaster, match="neither a file path nor an http"):
            read_header(f"{prefix}{picture}")

    def test_floats_are_no_digital_numbers(self, tmp_path: Path) -> None:
        path = write_tiff(tmp_path / "f.tif", PICTURE.astype(np.float32))
        assert "holds float32" in refused(path)

    def test_a_file_without_a_reference_system(self, tmp_path: Path) -> None:
        path = tmp_path / "bare.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=4,
            width=4,
            count=1,
            dtype="uint8",
            transform=ten_metre_grid().transform,
        ) as dataset:
            dataset.write(np.ones((1, 4, 4), dtype=np.uint8))
        assert "no coordinate reference system" in refused(path)

    def test_a_server_that_does_not_answer_decides_nothing(self) -> None:
        with pytest.raises(SourceUnavailable, match="run again"):
            read_header("http://127.0.0.1:9/red.tif")


class TestWriting:
    def test_what_is_written_comes_back(self, tmp_path: Path) -> None:
        values = np.stack([PICTURE, PICTURE[::-1]]).astype(np.int16)
        path = write_cog(
            tmp_path / "deep" / "x.tif",
            values,
            geobox=ten_metre_grid(),
            nodata=-32_768,
            band_names=["2019", "2020"],
        )
        np.testing.assert_array_equal(read_bands(path), values)
        with rasterio.open(path) as dataset:
            assert dataset.descriptions == ("2019", "2020")
            assert dataset.nodata == -32_768
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert dataset.compression.name == "deflate"
            assert dataset.overviews(1) == []

    def test_a_failed_write_leaves_the_old_file_and_no_part(self, tmp_path: Path) -> None:
        path = write_cog(tmp_path / "x.tif", PICTURE, geobox=ten_metre_grid(), nodata=0)
        before = path.read_bytes()
        with pytest.raises((TypeError, ValueError)):
            write_cog(path, PICTURE.astype("U4"), geobox=ten_metre_grid(), nodata=0)
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["x.tif"]

    def test_values_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="do not lie on a grid"):
            write_cog(tmp_path / "x.tif", PICTURE[:-1], geobox=ten_metre_grid(), nodata=0)


class TestDigest:
    def test_it_is_the_same_for_the_file_and_the_array(self, picture: Path) -> None:
        expected = array_digest(PICTURE, geobox=ten_metre_grid(), nodata=0)
        assert pixel_digest(picture) == expected

    def test_it_does_not_see_how_a_file_is_packed(self, picture: Path, tmp_path: Path) -> None:
        other = write_cog(
            tmp_path / "other.tif", PICTURE, geobox=ten_metre_grid(), nodata=0, tags={"A": "b"}
        )
        assert sha256_file(other) != sha256_file(picture)
        assert pixel_digest(other) == pixel_digest(picture)

    def test_one_pixel_changes_it(self) -> None:
        changed = PICTURE.copy()
        changed[5, 6] += 1
        digests = {array_digest(v, geobox=ten_metre_grid(), nodata=0) for v in (PICTURE, changed)}
        assert len(digests) == 2

    def test_place_type_and_nodata_change_it(self) -> None:
        grid = ten_metre_grid()
        digests = {
            array_digest(PICTURE, geobox=grid, nodata=0),
            array_digest(PICTURE, geobox=grid, nodata=None),
            array_digest(PICTURE.astype(np.int32), geobox=grid, nodata=0),
            array_digest(PICTURE, geobox=grid.translate_pix(1, 0), nodata=0),
        }
        assert len(digests) == 4
