"""Boxes are cut at bricks, and arrays are read in whole chunks where these fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plenostream.importers.arrays.boxes import VoxelBox
from plenostream.importers.arrays.sources import PositivePlanes, reading_edges


@given(
    lower=st.tuples(*[st.integers(0, 4)] * 3),
    shape=st.tuples(*[st.integers(1, 70)] * 3),
    edge=st.sampled_from([8, 16]),
)
def test_parts_are_the_whole_and_begin_at_bricks(
    lower: tuple[int, int, int], shape: tuple[int, int, int], edge: int
) -> None:
    x, y, z = (n * edge for n in lower)
    box = VoxelBox((x, y, z), (x + shape[0], y + shape[1], z + shape[2]))
    met = np.zeros(box.upper, np.int64)
    for part in box.parts(edge):
        assert all(n % edge == 0 for n in part.lower)
        met[part.slices] += 1
    assert (met[box.slices] == 1).all()
    assert met.sum() == np.prod(shape)
    if max(shape) > edge:
        assert len(box.parts(edge)) > 1


@pytest.mark.parametrize(
    ("chunks", "edges"),
    [
        (None, (64, 128, 128)),
        ((64, 64, 64), (64, 128, 128)),
        ((100, 50, 30), (100, 150, 240)),
        (((20, 20, 7), (30, 11), (44,)), (80, 150, 176)),
    ],
    ids=["none", "cubes", "odd", "by Dask"],
)
def test_arrays_are_read_in_whole_chunks(chunks: object, edges: tuple[int, int, int]) -> None:
    assert reading_edges(chunks, thickness=64) == edges


@pytest.mark.parametrize("chunks", [(1, 4096, 4096), (512, 512, 512)], ids=["planes", "huge"])
def test_chunks_that_are_too_large_are_read_in_parts(chunks: tuple[int, int, int]) -> None:
    edges = reading_edges(chunks, thickness=64)
    assert np.prod(edges) <= 4_000_000
    assert edges[2] % 8 == 0


@pytest.mark.parametrize("edges", [(16, 8, 8), (7, 100, 24), (64, 128, 128)])
def test_planes_are_read_once_and_say_what_is_positive(edges: tuple[int, int, int]) -> None:
    field = np.random.default_rng(1).random((50, 21, 37)) < 0.2
    read = np.zeros(field.shape, np.int64)

    def ask(box: VoxelBox) -> NDArray[np.bool_]:
        read[box.slices] += 1
        return field[box.slices]

    planes = PositivePlanes((50, 21, 37), ask, edges=edges)
    for x in range(0, 50, 16):
        for y in (0, 10):
            box = VoxelBox((x, y, 5), (min(x + 16, 50), 21, 30)).grown((50, 21, 37))
            np.testing.assert_array_equal(planes.within(box), field[box.slices])
    assert read.max() == 1
