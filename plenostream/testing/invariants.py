"""What holds of every picture, whatever the scene and the way it was made."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["assert_background", "assert_same_picture", "assert_sound"]

Float32 = NDArray[np.float32]


def assert_sound(rgb: Float32, alpha: Float32, depth: Float32, *, background: ArrayLike) -> None:
    """Every value of a picture (rgb [..., 3], alpha and depth [...]) is one that light can give.

    Colours are at least what the background leaves, depths at least 0, and a ray that met nothing
    has the background's colour and depth 0.
    """
    assert rgb.shape == (*alpha.shape, 3), (rgb.shape, alpha.shape)
    assert depth.shape == alpha.shape, (depth.shape, alpha.shape)
    for name, values in (("rgb", rgb), ("alpha", alpha), ("depth", depth)):
        assert values.dtype == np.float32, f"{name} is {values.dtype}"
        assert np.isfinite(values).all(), f"{name} has values that are not finite"
    assert alpha.min(initial=0.0) >= 0.0, f"an opacity is {alpha.min()}"
    assert alpha.max(initial=0.0) <= 1.0, f"an opacity is {alpha.max()}"
    assert depth.min(initial=0.0) >= 0.0, f"a depth is {depth.min()}"
    left = (1.0 - alpha[..., None]) * np.asarray(background, np.float32)
    # T and 1 - T are rounded separately: one unit in the last place of 1.
    assert (rgb - left >= -1e-6).all(), f"a colour is {(rgb - left).min()} below the background's"
    assert_background(rgb, alpha, depth, where=alpha == 0.0, background=background)


def assert_background(
    rgb: Float32, alpha: Float32, depth: Float32, *, where: NDArray[np.bool_], background: ArrayLike
) -> None:
    """The rays `where` [...] see the background and nothing else, exactly.

    A sample so thin that 1 - exp(-a) rounds to 0 may leave its trace in T: none in what is seen.
    """
    assert (alpha[where] == 0.0).all(), f"an opacity is {alpha[where].max()}"
    assert (depth[where] == 0.0).all(), f"a depth is {depth[where].max()}"
    assert (rgb[where] == np.asarray(background, np.float32)).all(), (
        "a colour is not the background's"
    )


def assert_same_picture(first: object, second: object, *, at_most: float) -> None:
    """Two results (with rgb, alpha and depth) differ by at most `at_most`; depths by 5 times that.

    With `at_most` 0 they are equal to the last bit.
    """
    for name, scale in (("rgb", 1.0), ("alpha", 1.0), ("depth", 5.0)):
        one, other = getattr(first, name), getattr(second, name)
        assert one.shape == other.shape, f"{name}: {one.shape} and {other.shape}"
        difference = np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0.0)
        assert difference <= scale * at_most, f"{name} differs by {difference:.2e}"
