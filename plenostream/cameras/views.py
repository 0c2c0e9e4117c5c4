"""What comes out of a camera file: its views, each with the picture that it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plenostream.cameras.camera import Camera
from plenostream.errors import InvalidInput
from plenostream.options import CAMERA_AXES, FOV, POSES, SCENE_SCALE, SIZE, VIEWS

__all__ = [
    "Asked",
    "CameraSet",
    "PicturedCamera",
    "ViewNumbers",
    "chosen_numbers",
    "require_pictures",
]

ViewNumbers = str | Sequence[int]
"""Which views: numbers counted from 0, or text such as "0,3,8-12"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a camera file is to be read; see `cameras.load_cameras`.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    views: ViewNumbers | None = None
    size: tuple[int, int] | None = None
    scene_scale: float | Literal["auto"] = "auto"
    poses: str = "svox2"
    camera_axes: str | None = None
    fov_degrees: float | None = None

    def __post_init__(self) -> None:
        rules = {
            "views": VIEWS,
            "scene_scale": SCENE_SCALE,
            "poses": POSES,
            "camera_axes": CAMERA_AXES,
        }
        for name, rule in rules.items():
            object.__setattr__(self, name, rule.check(name, getattr(self, name)))
        if self.size is not None:
            object.__setattr__(self, "size", SIZE.check("size", self.size))
        if self.fov_degrees is not None:
            object.__setattr__(self, "fov_degrees", FOV.check("fov_degrees", self.fov_degrees))

    @property
    def scale(self) -> float | None:
        """`scene_scale` as a number; None where the format decides."""
        return None if isinstance(self.scene_scale, str) else self.scene_scale

    def require_only_matrices_say(self, what: str) -> None:
        """Refuse what a format that says it itself would not listen to; `what` names the format."""
        for name in ("camera_axes", "fov_degrees"):
            if getattr(self, name) is not None:
                raise InvalidInput(
                    f"{name} is for plain matrices, which do not say it; {what} says its own"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PicturedCamera:
    """A camera of a file, and the picture that it took."""

    number: int
    """Of the frame, counted from 0."""
    camera: Camera
    picture: Path | None
    """The PNG or JPEG file that the frame names; None where there is none."""
    name: str
    """The picture's name as the file has it; empty without."""

    def at_size(self, width: int, height: int) -> Camera:
        """The camera at the size of its picture.

        Raises
        ------
        InvalidInput : the camera's picture has another shape.
        """
        camera = self.camera
        if abs(camera.width * height - camera.height * width) > max(camera.width, camera.height):
            raise InvalidInput(
                f"the photograph of view {self.number} has {width}x{height} pixels, and its camera "
                f"{camera.width}x{camera.height}: not the same shape"
            )
        if (width, height) == (camera.width, camera.height):
            return camera
        return camera.resized(width, height)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraSet:
    """The views of a camera file that were asked for."""

    found: str
    """What the file was found to be, in words."""
    views: list[PicturedCamera]
    focus: float | None = None
    """Distance before the cameras at which svox2 has its spiral look; None: the format knows none."""
    ndc: tuple[float, float, float, float] | None = None
    """Width, height, fx and fy (pixels) of the reference camera of the normalised device coordinates
    that svox2 trains such data in; None: it trains them in the world."""
    is_path: bool = False
    """Whether the views are the pictures of a path, one after another."""
    fps: float | None = None
    """Pictures of that path a second; None: the file does not say."""


def chosen_numbers(asked: object, n_views: int, path: Path) -> Sequence[int]:
    """The numbers of the views that are asked for, of the `n_views` in `path`.

    Raises
    ------
    InvalidInput : views that the file does not have.
    """
    if asked is None:
        return range(n_views)
    runs: list[range] = VIEWS.check("views", asked)
    for run in runs:
        if run.stop > n_views:
            raise InvalidInput(
                f"view {max(run.start, n_views)} was asked for; {path} has {n_views} "
                f"(0 to {n_views - 1})"
            )
    return [number for run in runs for number in run]


def require_pictures(views: Sequence[PicturedCamera], path: str | Path) -> None:
    """Refuse views without a picture.

    Raises
    ------
    InvalidInput : there are some; it says which others have one.
    """
    lacking = [view for view in views if view.picture is None]
    if lacking:
        there = ",".join(str(view.number) for view in views if view.picture is not None)
        beside = "the folder that this file is in" if Path(path).is_file() else "this folder"
        hint = f"--views {there} have one" if there else f"names of pictures count from {beside}"
        raise InvalidInput(
            f"{len(lacking)} of {len(views)} views of {path} have no photograph, among them number "
            f"{lacking[0].number} ({lacking[0].name or 'which names none'}); {hint}"
        )
