"""How coarse pictures are, and which parts fine ones are drawn in."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.viewer.pacing import Pace, patches_of


@pytest.mark.parametrize("size", [(1, 1), (300, 210), (512, 512), (513, 3), (1919, 1081)])
def test_patches_are_of_one_size_and_cover_the_picture(size: tuple[int, int]) -> None:
    width, height = size
    patches = patches_of(width, height, 128)
    drawn = np.zeros((height, width), int)
    for patch in patches:
        drawn[patch.top : patch.top + patch.height, patch.left : patch.left + patch.width] += 1
    assert drawn.min() == 1
    assert sum(patch.width * patch.height for patch in patches) == drawn.sum()
    assert len({(patch.width, patch.height) for patch in patches}) == 1
    assert drawn.sum() < 1.05 * width * height + 128


def test_middle_comes_first() -> None:
    first, *_, last = patches_of(900, 900, 300)
    assert (first.left, first.top) == (300, 300)
    assert {last.left, last.top} <= {0, 600}


@pytest.mark.parametrize("pixels_per_second", [1e5, 1e6, 3e6, 3e7])
def test_pictures_come_ten_times_a_second_and_stay_at_one_size(pixels_per_second: float) -> None:
    pace = Pace()
    sizes, takes_s = [], 0.0  # as modelled: no clock runs here
    for _ in range(40):
        divisor = pace.divisor(512, 512)
        n = (512 // divisor) ** 2
        takes_s = 0.004 + n / pixels_per_second
        pace.drew(n, takes_s)
        sizes.append(divisor)
    assert takes_s < 0.1
    assert len(set(sizes[-20:])) == 1
    # From half the resolution to all of it takes four times as long, and at most 0.05 s.
    assert takes_s > 0.0125 or sizes[-1] == 1, "no coarser than it has to be"


def test_picture_that_had_to_read_bricks_makes_the_next_coarser_by_little() -> None:
    pace = Pace()
    for _ in range(20):
        pace.drew(512 * 512, 0.02)
    assert pace.divisor(512, 512) == 1
    pace.drew(512 * 512, 9.0)
    for _ in range(5):
        pace.drew(256 * 256, 0.01)
    assert pace.divisor(512, 512) == 1
