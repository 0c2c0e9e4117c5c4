"""Similarities of the world: what svox2's loaders do to the poses of a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.camera import Camera
from plenostream.cameras.lenses import Orthographic
from plenostream.errors import CameraError

__all__ = ["Similarity", "around_bounds", "around_cameras", "before_cameras", "mean_pose"]

_NONE = 1e-6
"""Length below which the mean of unit vectors has no direction."""
_POINT = 1e-12
"""Length, relative to the positions, below which cameras stand in one point."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Similarity:
    """``x -> scale (rotation x + translation)``."""

    rotation: NDArray[np.float64]
    """[3, 3]."""
    translation: NDArray[np.float64]
    """[3], in the file's unit of length."""
    scale: float
    """New length of the file's unit."""

    @classmethod
    def scaled(cls, scale: float) -> Similarity:
        """Lengths alone."""
        return cls(rotation=np.eye(3), translation=np.zeros(3), scale=scale)

    def further(self, scale: float) -> Similarity:
        """The same, and lengths multiplied by `scale` after it."""
        return replace(self, scale=self.scale * scale)

    def moved(self, camera: Camera) -> Camera:
        """The camera in the world after it."""
        c2w = self.rotation @ camera.c2w
        c2w[:, 3] = (c2w[:, 3] + self.translation) * self.scale
        if isinstance(camera.lens, Orthographic):
            # Pixels per unit of length.
            return replace(camera, c2w=c2w, fx=camera.fx / self.scale, fy=camera.fy / self.scale)
        return replace(camera, c2w=c2w)


def around_cameras(poses: NDArray[np.float64]) -> Similarity:
    """Cameras around a scene: upright, their gaze through the origin, their median distance 1.

    The mean of the cameras' upward axes becomes -y; the origin is, axis by axis, the median of the
    points of the optical axes that are nearest to the origin before.
    Source: svox2, `opt/util/util.py`, `similarity_from_cameras`.

    Parameters
    ----------
    poses : [n, 3, 4] camera to world, OpenCV axes

    Raises
    ------
    CameraError : cameras upside down to each other, or all in one point.
    """
    up = -poses[:, :, 1].mean(axis=0)
    length = float(np.linalg.norm(up))
    if length < _NONE:
        raise CameraError("the cameras have no upward axis in common")
    rotation = _turned_to_minus_y(up / length)
    eyes, gazes = poses[:, :, 3] @ rotation.T, poses[:, :, 2] @ rotation.T
    along = -(gazes * eyes).sum(axis=1, keepdims=True)
    translation = -np.median(eyes + along * gazes, axis=0)
    distance = float(np.median(np.linalg.norm(eyes + translation, axis=1)))
    return Similarity(
        rotation=rotation, translation=translation, scale=1 / _checked(distance, eyes)
    )


def _turned_to_minus_y(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest rotation that brings the unit vector `up` to (0, -1, 0)."""
    cosine = -up[1]
    if cosine <= -1 + 1e-12:
        return np.diag([-1.0, -1.0, 1.0])
    x, y, z = np.cross(up, (0.0, -1.0, 0.0))
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: NDArray[np.float64] = np.eye(3) + skew + skew @ skew / (1 + cosine)
    return turned


def around_bounds(least: NDArray[np.float64], most: NDArray[np.float64]) -> Similarity:
    """A box [3] to [3]: its middle at the origin, half its longest edge 1 (svox2's bbox.txt)."""
    half = float((most - least).max()) / 2
    if not half > 0:
        raise CameraError("the box has no inside")
    return Similarity(rotation=np.eye(3), translation=-(least + most) / 2, scale=1 / half)


def before_cameras(poses: NDArray[np.float64], nearest: float) -> Similarity:
    """Cameras that look one way: their mean pose at the origin, looking along +z, y down.

    Lengths are such that `nearest` becomes 4/3.
    Source: svox2, `opt/util/load_llff.py` (`recenter_poses`, `bd_factor`) and `llff_dataset.py`
    (`nerf_pose_to_ours`), which turns the y and z axes of the recentred world round.

    Parameters
    ----------
    poses : [n, 3, 4] camera to world, OpenCV axes
    nearest : least depth of the scene, in the file's unit of length

    Raises
    ------
    CameraError : no mean direction.
    """
    axes, eye = mean_pose(poses)
    rotation = axes.T
    return Similarity(rotation=rotation, translation=-rotation @ eye, scale=1 / (0.75 * nearest))


def mean_pose(poses: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes [3, 3] (right, down, forward, in columns) and position [3] in the middle of cameras.

    Forward is the mean of theirs, and down as near to the mean of theirs as that leaves.

    Parameters
    ----------
    poses : [n, 3, 4] camera to world, OpenCV axes

    Raises
    ------
    CameraError : no mean direction.
    """
    forward, down = poses[:, :, 2].sum(axis=0), poses[:, :, 1].sum(axis=0)
    right = np.cross(down, forward)
    if min(np.linalg.norm(forward), np.linalg.norm(right)) < _NONE * len(poses):
        raise CameraError("the cameras have no mean direction")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    return axes, poses[:, :, 3].mean(axis=0)


def _checked(distance: float, eyes: NDArray[np.float64]) -> float:
    if not distance > _POINT * (1 + float(np.abs(eyes).max())):
        raise CameraError("all cameras stand in one point, so that there is no scale to take")
    return distance
