"""Values as colours, and how far two pictures are apart."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.export.pixels import depth_8bit, depth_range, psnr


class TestDepthColours:
    def test_near_is_red_and_far_is_blue(self) -> None:
        depth = np.array([[1.0, 3.0]], np.float32)
        ((near, far),) = depth_8bit(depth, np.ones_like(depth), (1.0, 3.0)).astype(int)
        assert near[0] > near[2]
        assert far[2] > far[0]

    def test_stand_for_the_depth_of_what_is_seen_not_for_its_opacity(self) -> None:
        depth, alpha = np.array([[2.0, 1.2]], np.float32), np.array([[1.0, 0.6]], np.float32)
        assert depth_range(depth, alpha) == pytest.approx((2.0, 2.0))

    def test_of_an_empty_picture_are_black(self) -> None:
        nothing = np.zeros((2, 3), np.float32)
        assert depth_range(nothing, nothing) is None
        assert not depth_8bit(nothing, nothing, None).any()


class TestPsnr:
    def test_of_equal_pictures_is_infinite(self) -> None:
        assert psnr(np.ones((2, 2)), np.ones((2, 2))) == float("inf")

    def test_of_a_difference_of_a_tenth_is_20_db(self) -> None:
        assert psnr(np.zeros((2, 2, 3)), np.full((2, 2, 3), 0.1)) == pytest.approx(20)
