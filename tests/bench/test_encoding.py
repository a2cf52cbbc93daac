"""The pictures and the table of ``bench.encoding``."""

import numpy as np

from bench.encoding import FORMATS, measure, photograph
from bench.tables.encoding import encoding
from ddim_edge.images.encode import png_bytes


def test_pictures_are_as_hard_to_compress_as_photographs() -> None:
    picture = photograph(128, seed=1)
    assert (picture.shape, picture.dtype.name) == ((128, 128, 3), "uint8")
    assert np.array_equal(picture, photograph(128, seed=1))
    bits = 8 * len(png_bytes(picture, {})) / 128**2
    assert 10 < bits < 17


def test_every_format_has_a_row() -> None:
    rows = measure((512, 1024)[:1], rounds=1)
    assert [row["format"] for row in rows] == list(FORMATS)
    sizes = {row["format"].removeprefix("PNG, "): row["512"]["bytes"] for row in rows}
    assert sizes["level 0"] > sizes["level 1"] > sizes["default"] >= sizes["level 9"] > sizes["JPEG"]
    table = encoding({"rows": [{**row, "1024": row["512"]} for row in rows]})
    assert table.count("\n") == len(FORMATS) + 1
    assert "PNG, default" in table
