"""Depths and costs as colours: which end is which, what fades, and the bar with its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.export.colormaps import COLORMAP_ENDS, coloured, span_of, with_scale
from plenostream.options import DEPTH_COLORMAPS

ONES = np.ones((1, 2), np.float32)
DEPTH = np.array([[1.0, 3.0]], np.float32)


def test_every_colormap_has_names_for_its_ends() -> None:
    assert set(COLORMAP_ENDS) == set(DEPTH_COLORMAPS)


def test_near_is_red_and_far_is_blue_in_turbo() -> None:
    ((near, far),) = coloured(DEPTH, ONES, (1.0, 3.0), colormap="turbo").astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]


@pytest.mark.parametrize("colormap", [name for name in DEPTH_COLORMAPS if name != "turbo"])
def test_near_is_brighter_than_far_in_the_others(colormap: str) -> None:
    ((near, far),) = coloured(DEPTH, ONES, (1.0, 3.0), colormap=colormap).astype(int)
    assert near.sum() > far.sum()
    ((few, many),) = coloured(DEPTH, ONES, (1.0, 3.0), colormap=colormap, first_is_high=True)
    np.testing.assert_array_equal((many, few), (near, far))


def test_what_is_not_seen_is_black_whatever_its_value() -> None:
    values = np.array([[np.nan, 2.0]], np.float32)
    ((none, half),) = coloured(values, np.float32([[0, 0.5]]), (1.0, 3.0), colormap="grey")
    np.testing.assert_array_equal(none, (0, 0, 0))
    np.testing.assert_array_equal(half, (64, 64, 64))


def test_span_is_that_of_values_that_count() -> None:
    values = np.array([[np.nan, 2.0, 5.0]], np.float32)
    assert span_of(values, np.isfinite(values)) == (2.0, 5.0)
    assert span_of(values, np.zeros((1, 3), np.bool_)) is None


def test_scale_lies_below_the_picture_and_runs_from_near_to_far() -> None:
    picture = np.full((40, 200, 3), 7, np.uint8)
    drawn = with_scale(picture, (1.0, 3.0), colormap="turbo")
    assert drawn.shape == (70, 200, 3)
    np.testing.assert_array_equal(drawn[:40], picture)
    bar = drawn[45, 16:184]
    ends = coloured(DEPTH, ONES, (1.0, 3.0), colormap="turbo")[0]
    np.testing.assert_array_equal(bar[[0, -1]], ends)
    numbers = drawn[56:]
    assert (numbers.max(axis=(0, 2)) > 200).sum() > 8  # columns that a digit or a tick touches


@pytest.mark.parametrize("span", [(2.5, 2.5), (1e-4, 1e6), (-3.0, -1.0)])
def test_scale_of_any_range_can_be_drawn(span: tuple[float, float]) -> None:
    drawn = with_scale(np.zeros((4, 96, 3), np.uint8), span, colormap="grey")
    assert drawn[20:].max() > 200


def test_no_scale_below_nothing_or_where_numbers_have_no_room() -> None:
    picture = np.zeros((4, 95, 3), np.uint8)
    assert with_scale(picture, (1.0, 2.0), colormap="grey") is picture
    assert with_scale(np.zeros((4, 400, 3), np.uint8), None, colormap="grey").shape[0] == 4
