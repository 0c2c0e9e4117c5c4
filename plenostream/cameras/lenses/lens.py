"""What a lens is: from the plane of a picture to rays in camera axes, and back.

A camera maps pixel (column i, row j) to a point of its plane, ``x = (i + 0.5 - cx) / fx``,
``y = (j + 0.5 - cy) / fy``. The lens says which ray that point sees. So pictures are resized and
cropped without knowing the lens, and a lens knows neither pose nor pixels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.values import finite_number
from plenostream.errors import CameraError, shown

__all__ = ["Lens", "checked_coefficients"]

LARGEST_COEFFICIENT = 1e12
"""Of a polynomial: beyond it, sums of a few terms would leave float64."""


class Lens(ABC):
    """A model of a lens; a frozen record of its coefficients."""

    has_eye: ClassVar[bool] = True
    """Whether all rays start at one point, the camera's centre."""

    @property
    @abstractmethod
    def make(self) -> Callable[..., tuple[Any, Any, Any]]:
        """World rays of tiles, ``make(xp, corners, c2w, intrinsics, pixels, *arrays)``; see
        `rays.pinhole_rays`. The same function for all lenses of a model."""

    def arrays(self, reach: float) -> tuple[NDArray[np.float64], ...]:
        """What `make` takes of the lens, for points of the plane up to `reach` from its middle.

        Their shapes are those of the model, since programs are compiled for them.
        """
        del reach
        return ()

    @abstractmethod
    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where in the plane points of the space before the camera are seen.

        Parameters
        ----------
        points : [n, 3]     camera axes (x right, y down, z forward)

        Returns
        -------
        [n, 2] f64, NaN for points that the lens does not show.
        """


def checked_coefficients(name: str, values: object, count: int) -> tuple[float, ...]:
    """`count` finite numbers; raises CameraError."""
    if not isinstance(values, (tuple, list)) or len(values) != count:
        raise CameraError(f"{name} is {shown(values)}; expected {count} numbers")
    numbers = [finite_number(value) for value in values]
    for number, value in zip(numbers, values, strict=True):
        if number is None or not math.fabs(number) <= LARGEST_COEFFICIENT:
            raise CameraError(
                f"{name} holds {shown(value)}; expected numbers up to {LARGEST_COEFFICIENT:g}"
            )
    return tuple(number for number in numbers if number is not None)
