"""What browsers say: JSON texts that are not trusted, each value against its rule.

The page sends nothing that is refused here. Whoever does is no page of ours, and is dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.errors import InvalidInput, shown
from plenostream.options import FOV, FRAMES, SIZE, RenderOptions
from plenostream.rules import Choice, Colour, Number, Whole, rules_of

__all__ = [
    "CHANGEABLE",
    "LARGEST_MESSAGE",
    "OUTPUTS",
    "Change",
    "Message",
    "Path",
    "Pick",
    "Seen",
    "Thumbnail",
    "View",
    "pinhole",
    "read_message",
]

LARGEST_MESSAGE = 1 << 16
"""Bytes of a message: a path of a hundred views is a third of it."""
OUTPUTS = ("rgb", "depth", "alpha", "normals", "cost")
"""What a picture may show."""

_MOST_EDGE, _MOST_PIXELS = 4096, 4096 * 2304
_MOST_KEYS = 100
_MOST_FRAMES = 3000

_NUMBER = Whole(least=0, most=1 << 31, unit="", help="Number of a view, or of a camera.")
_PIXEL = Whole(least=0, most=_MOST_EDGE - 1, unit="pixels", help="Column or row.")
_OUTPUT = Choice(choices=OUTPUTS, help="What is shown.")
_BACKGROUND = Colour(help="Colour behind everything.")
CHANGEABLE = {"step": "step_size", "level": "level"}
"""What messages call the options that a visitor may change for all."""
_CHANGES = {
    # The page's bounds: with the option's own, a visitor could have all others wait for hours.
    "step": Number(least=0.05, most=8.0, unit="voxels", help="Distance between samples."),
    "level": rules_of(RenderOptions)["level"],
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A picture that a visitor wants to see."""

    number: int
    """Of the visitor's views, rising."""
    camera: Camera | None
    """Where from; None for one of the data set's."""
    chosen: int | None
    """Which of the data set's."""
    output: str
    """One of `OUTPUTS`."""
    background: tuple[float, float, float]
    """Behind everything."""
    moves: bool
    """Whether others follow at once."""

    def shows_the_same(self, other: View) -> bool:
        """Whether the picture is that of another view."""
        if (self.chosen, self.output, self.background) != (
            other.chosen,
            other.output,
            other.background,
        ):
            return False
        mine, others = self.camera, other.camera
        if mine is None or others is None:
            return mine is others
        return (
            np.array_equal(mine.c2w, others.c2w)
            and np.array_equal(mine.intrinsics, others.intrinsics)
            and (mine.width, mine.height) == (others.width, others.height)
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture has arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What lies behind a pixel of the view?"""

    column: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small picture of one of the data set's cameras."""

    camera: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """The cameras on the way through some."""

    keys: tuple[Camera, ...]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Another value of an option of the renderer, for all visitors."""

    option: str
    """A field of `RenderOptions`: one of those in `CHANGEABLE`."""
    value: float | int | str


Message = View | Seen | Pick | Thumbnail | Path | Change


def read_message(text: str | bytes) -> Message:
    """The message that `text` is.

    Raises
    ------
    InvalidInput, CameraError : it is none.
    """
    if not isinstance(text, str):
        raise InvalidInput("a message is bytes; expected text")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("a message is not JSON") from error
    kind = said.get("kind") if isinstance(said, dict) else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise InvalidInput(f"a message is of the kind {shown(kind)}, which there is not")
    return reader(said)


def pinhole(pose: NDArray[np.float64], fov_degrees: float, size: tuple[int, int]) -> Camera:
    """The camera at `pose` (camera to world, [3, 4]) with a horizontal field of view."""
    width, height = size
    focal = 0.5 * width / math.tan(0.5 * math.radians(fov_degrees))
    return Camera(
        c2w=pose, fx=focal, fy=focal, cx=width / 2, cy=height / 2, width=width, height=height
    )


def _view(said: Mapping[str, Any]) -> View:
    chosen = said.get("camera")
    moves = said.get("moves")
    if not isinstance(moves, bool):
        raise InvalidInput(f"moves is {shown(moves)}; expected true or false")
    background = said.get("background")
    given = _BACKGROUND.check("background", _tuple(background, 3))
    return View(
        number=_NUMBER.check("number", said.get("number")),
        camera=_camera(said, _size(said.get("size"))) if chosen is None else None,
        chosen=None if chosen is None else _NUMBER.check("camera", chosen),
        output=_OUTPUT.check("output", said.get("output")),
        background=given if isinstance(given, tuple) else (given, given, given),
        moves=moves,
    )


def _pick(said: Mapping[str, Any]) -> Pick:
    column, row = _tuple(said.get("at"), 2)
    return Pick(column=_PIXEL.check("at", column), row=_PIXEL.check("at", row))


def _path(said: Mapping[str, Any]) -> Path:
    keys, size = said.get("keys"), _size(said.get("size"))
    if not isinstance(keys, list) or not 2 <= len(keys) <= _MOST_KEYS:
        raise InvalidInput(f"a path has 2 to {_MOST_KEYS} views")
    if not all(isinstance(key, dict) for key in keys):
        raise InvalidInput("a view of a path is no object")
    n = FRAMES.check("frames", said.get("frames"))
    if n > _MOST_FRAMES:
        raise InvalidInput(f"frames is {n}; expected at most {_MOST_FRAMES}")
    return Path(keys=tuple(_camera(key, size) for key in keys), n=n)


def _change(name: str, said: Mapping[str, Any]) -> Change:
    return Change(option=CHANGEABLE[name], value=_CHANGES[name].check(name, said.get(name)))


def _camera(said: Mapping[str, Any], size: tuple[int, int]) -> Camera:
    pose = np.array([_real(value) for value in _tuple(said.get("pose"), 12)]).reshape(3, 4)
    return pinhole(pose, FOV.check("fov", said.get("fov")), size)


def _size(said: object) -> tuple[int, int]:
    width, height = SIZE.check("size", _tuple(said, 2))
    if max(width, height) > _MOST_EDGE or width * height > _MOST_PIXELS:
        raise InvalidInput(f"size is {width}x{height}; expected at most {_MOST_PIXELS} pixels")
    return width, height


def _tuple(said: object, n: int) -> tuple[Any, ...]:
    if not isinstance(said, list) or len(said) != n:
        raise InvalidInput(f"{shown(said)} is not a list of {n}")
    return tuple(said)


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{shown(value)} is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidInput("a number is too large") from error


_READERS: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "view": _view,
    "seen": lambda said: Seen(),
    "pick": _pick,
    "thumbnail": lambda said: Thumbnail(camera=_NUMBER.check("camera", said.get("camera"))),
    "path": _path,
    **{name: partial(_change, name) for name in CHANGEABLE},
}
