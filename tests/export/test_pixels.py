"""Values as colours, and how far two pictures are apart."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.export.pixels import psnr


class TestPsnr:
    def test_of_equal_pictures_is_infinite(self) -> None:
        assert psnr(np.ones((2, 2)), np.ones((2, 2))) == float("inf")

    def test_of_a_difference_of_a_tenth_is_20_db(self) -> None:
        assert psnr(np.zeros((2, 2, 3)), np.full((2, 2, 3), 0.1)) == pytest.approx(20)
