"""The camera itself: a pose, a picture's size, and a lens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.cameras.lenses.lens import Lens
from plenostream.cameras.lenses.pinhole import Pinhole
from plenostream.cameras.values import finite_number, is_number
from plenostream.errors import CameraError, InvalidInput, shown
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.options import LARGEST_COORDINATE, LARGEST_EDGE, REGION, SIZE
from plenostream.rules import real_array

__all__ = ["Camera", "checked_pose"]

SHORTEST_FOCAL = 1e-6
"""Pixels; a picture of 1 pixel with this focal length spans all but 0.00023 degrees of 180."""

ORTHONORMAL_TOLERANCE = 2e-3
"""Largest entry of |R^T R - 1| that is taken for rounding: three decimals in a file pass."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A camera, OpenCV axes: x right, y down, z forward; pixel centres at +0.5.

    Pixel (column i, row j) is the point ((i + 0.5 - cx) / fx, (j + 0.5 - cy) / fy) of the camera's
    plane. What that point sees says the lens; a pinhole has the direction (x, y, 1). A pixel whose
    point the lens does not show is transparent.

    Raises
    ------
    CameraError : a matrix of the wrong shape, not finite or no rotation; intrinsics that cannot be;
    a lens that is none.
    """

    c2w: NDArray[np.float64]
    """Camera to world, [3, 4] float64, read-only; [4, 4] with a last row of 0 0 0 1 is accepted."""
    fx: float
    """Focal length along x, in pixels."""
    fy: float
    """Focal length along y, in pixels."""
    cx: float
    """Column of the principal point, in pixels from the image's left edge."""
    cy: float
    """Row of the principal point, in pixels from the image's top edge."""
    width: int
    """Pixels along x."""
    height: int
    """Pixels along y."""
    lens: Lens = Pinhole()
    """What a point of the plane sees; a pinhole unless said otherwise."""
    part_of: Camera | None = None
    """The camera of whose picture this one's is a part (`region`). What goes by a picture as a whole,
    such as the tables of lenses, goes by that one: so parts are the same to the last bit."""

    def __post_init__(self) -> None:
        if not isinstance(self.lens, Lens):
            raise CameraError(f"the lens is {shown(self.lens)}; expected one of cameras.lenses")
        object.__setattr__(self, "c2w", checked_pose(self.c2w))
        for name in ("fx", "fy", "cx", "cy"):
            value = _checked_number(name, getattr(self, name))
            if name in ("fx", "fy") and not value >= SHORTEST_FOCAL:
                raise CameraError(
                    f"{name} is {value}; a focal length is at least {SHORTEST_FOCAL:g} pixels"
                )
            if abs(value) > LARGEST_COORDINATE:
                raise CameraError(f"{name} is {value}; expected at most {LARGEST_COORDINATE:g}")
            object.__setattr__(self, name, value)
        for name in ("width", "height"):
            object.__setattr__(self, name, checked_edge(name, getattr(self, name)))

    @property
    def eye_world(self) -> NDArray[np.float64]:
        """Where the camera stands, [3] (world)."""
        return self.c2w[:, 3]

    def resized(self, width: int, height: int) -> Camera:
        """The same view in `width` x `height` pixels: intrinsics are scaled axis by axis.

        Raises InvalidInput for edges against `options.SIZE`.
        """
        width, height = SIZE.check("size", (width, height))
        x_scale, y_scale = width / self.width, height / self.height
        return replace(
            self,
            fx=self.fx * x_scale,
            fy=self.fy * y_scale,
            cx=self.cx * x_scale,
            cy=self.cy * y_scale,
            width=width,
            height=height,
            part_of=self._whole_resized(x_scale, y_scale),
        )

    def _whole_resized(self, x_scale: float, y_scale: float) -> Camera | None:
        if self.part_of is None:
            return None
        width, height = round(self.part_of.width * x_scale), round(self.part_of.height * y_scale)
        # Of a picture that is too large as a whole, the part stands for itself.
        fits = max(width, height) <= LARGEST_EDGE and min(width, height) > 0
        return self.part_of.resized(width, height) if fits else None

    def region(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera whose picture is that part of this one's, pixel by pixel the same.

        Raises InvalidInput for a part that is not inside the picture.
        """
        left, top, width, height = REGION.check("region", (left, top, width, height))
        if left + width > self.width or top + height > self.height:
            raise InvalidInput(
                f"the region {left},{top},{width},{height} is not inside a picture of "
                f"{self.width}x{self.height}"
            )
        return replace(
            self,
            cx=self.cx - left,
            cy=self.cy - top,
            width=width,
            height=height,
            part_of=self.whole,
        )

    @property
    def whole(self) -> Camera:
        """The camera of the whole picture, of which this one's may be a part."""
        return self if self.part_of is None else self.part_of

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        """fx, fy, cx, cy [4]."""
        return np.array([self.fx, self.fy, self.cx, self.cy])

    @property
    def ray_arrays(self) -> tuple[NDArray[Any], ...]:
        """What the lens's `make` takes beside the tiles: pose, intrinsics, size, its own arrays."""
        whole = self.whole
        across = [(edge - whole.cx) / whole.fx for edge in (0, whole.width)]
        down = [(edge - whole.cy) / whole.fy for edge in (0, whole.height)]
        reach = math.hypot(max(map(abs, across)), max(map(abs, down)))
        pixels = np.array([self.width, self.height], np.int32)
        return (self.c2w, self.intrinsics, pixels, *self.lens.arrays(reach))

    def rays(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """The rays of all pixels, as they are drawn.

        Returns
        -------
        origins, directions : [height, width, 3] f64, world; directions of any length
        seen : [height, width]; false for transparent pixels, whose ray means nothing
        """
        rows, columns = -(-self.height // TILE), -(-self.width // TILE)
        row, column = np.divmod(np.arange(rows * columns), columns)
        corners = np.stack([column, row], -1).astype(np.int32) * TILE
        made = self.lens.make(np, corners, *self.ray_arrays)

        def in_rows(values: NDArray[Any]) -> NDArray[Any]:
            tiled = values.reshape(rows, columns, TILE, TILE_RAYS // TILE, -1).swapaxes(1, 2)
            whole = tiled.reshape(rows * TILE, columns * TILE, -1)
            return whole[: self.height, : self.width]

        origins, directions, seen = (in_rows(part.T) for part in made)
        return origins, directions, seen[..., 0]

    def project(self, points_world: ArrayLike) -> NDArray[np.float64]:
        """Where points [n, 3] (world) are seen: column and row [n, 2] in pixels from the picture's
        left top; NaN for what the lens does not show."""
        offset = np.asarray(points_world, np.float64) - self.eye_world
        plane = self.lens.project(offset @ np.linalg.inv(self.c2w[:, :3]).T)
        return plane * (self.fx, self.fy) + (self.cx, self.cy)


def checked_edge(name: str, edge: object) -> int:
    """A number of pixels along one edge of an image."""
    if isinstance(edge, bool) or not isinstance(edge, (int, np.integer)):
        raise CameraError(f"{name} is {shown(edge)}; expected a whole number of pixels")
    if not 1 <= edge <= LARGEST_EDGE:
        raise CameraError(f"{name} is {shown(edge)}; expected 1 to {LARGEST_EDGE} pixels")
    return int(edge)


def _checked_number(name: str, value: object) -> float:
    number = finite_number(value)
    if number is None:
        kind = "a finite number" if is_number(value) else "a number"
        raise CameraError(f"{name} is {shown(value)}; expected {kind}")
    return number


def checked_pose(value: object, name: str = "the camera-to-world matrix") -> NDArray[np.float64]:
    """Read-only copy [3, 4] of a rigid transform; `name` is what messages call it.

    Raises
    ------
    CameraError : the wrong shape, not finite, no rotation, a translation beyond float32.
    """
    try:
        matrix = real_array(value)
    except ValueError as error:
        raise CameraError(f"{name} is not a table of 4x4 or 3x4 numbers, ({error})") from error
    if matrix.shape not in ((4, 4), (3, 4)):
        shape = "x".join(map(str, matrix.shape)) or "a single number"
        raise CameraError(f"{name} is {shape}; expected 4x4 or 3x4")
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise CameraError(f"{name} holds {matrix[row, column]} in row {row}, column {column}")
    if len(matrix) == 4 and np.abs(matrix[3] - (0, 0, 0, 1)).max() > 1e-6:
        last = " ".join(f"{v:g}" for v in matrix[3])
        raise CameraError(f"{name} ends in the row {last}; expected 0 0 0 1")
    rotation = matrix[:3, :3]
    # Columns are compared through their lengths first: a product of huge entries would overflow.
    lengths = np.array([math.hypot(*column) for column in rotation.T])
    if np.abs(lengths - 1).max() > ORTHONORMAL_TOLERANCE / 2:
        text = ", ".join(f"{length:.4g}" for length in lengths)
        raise CameraError(
            f"{name} is not a rotation and a translation: its first three "
            f"columns have the lengths {text}; expected 1 each"
        )
    error_max = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if error_max > ORTHONORMAL_TOLERANCE:
        raise CameraError(
            f"{name} is not a rotation and a translation: its axes are not at "
            f"right angles (their products are up to {error_max:.2g}; expected 0)"
        )
    if np.linalg.det(rotation) < 0:
        raise CameraError(
            f"{name} mirrors the picture (its determinant is -1); expected right-handed axes"
        )
    if np.abs(matrix[:3, 3]).max() > LARGEST_COORDINATE:
        raise CameraError(
            f"{name} holds a position of {np.abs(matrix[:3, 3]).max():g}; expected at most "
            f"{LARGEST_COORDINATE:g}"
        )
    pose = np.array(matrix[:3], order="C")
    pose.flags.writeable = False
    return pose
