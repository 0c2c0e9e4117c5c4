"""Numbers out of text files and .npy files, which are not trusted."""

from __future__ import annotations

import math
import tokenize
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from plenostream.errors import CameraError, shown
from plenostream.files.paths import input_file

__all__ = ["array_of", "rows_of"]

_MOST_TEXT = 64_000_000
"""Bytes of a text of numbers, at most: half a million matrices."""
_MOST_ARRAY = 1_000_000_000
"""Bytes of an array of cameras, at most."""


def rows_of(path: Path, *, what: str) -> list[tuple[int, list[float]]]:
    """The lines of a text that hold numbers, each with its number in the file, counted from 1.

    What follows a # is a comment; numbers are parted by spaces or commas.

    Raises
    ------
    CameraError : nothing there, too large, or something else than finite numbers; names the line.
    """
    place = input_file(path, what=what, error=CameraError)
    try:
        with place.open("rb") as file:
            data = file.read(_MOST_TEXT + 1)
    except OSError as error:
        raise CameraError(f"the {what} {path} cannot be read: {error.strerror}") from error
    if len(data) > _MOST_TEXT:
        raise CameraError(f"the {what} {path} has more than the {_MOST_TEXT} bytes that are read")
    rows = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        words = line.partition(b"#")[0].replace(b",", b" ").split()
        if words:
            rows.append((number, [_number(word, path, number) for word in words]))
    return rows


def _number(word: bytes, path: Path, line: int) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        text = shown(word.decode("utf-8", "replace"))
        raise CameraError(f"{path}, line {line}: {text} is not a finite number")
    return number


def array_of(path: Path, *, what: str) -> NDArray[np.float64]:
    """The array of real, finite numbers in a .npy file, as float64.

    Raises
    ------
    CameraError : nothing there, no such file, or one that is shorter than it says.
    """
    place = input_file(path, what=what, error=CameraError)
    try:
        with place.open("rb") as file:
            read_header = {
                (1, 0): npy.read_array_header_1_0,
                (2, 0): npy.read_array_header_2_0,
            }.get(npy.read_magic(file))
            if read_header is None:
                raise ValueError("it is of another version than 1 or 2")
            shape, by_columns, dtype = read_header(file)
            data = file.read(_MOST_ARRAY + 1)
    except (OSError, ValueError, TypeError, SyntaxError, RecursionError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CameraError(f"the {what} {path} is no .npy file that is read: {reason}") from error
    except tokenize.TokenError as error:
        raise CameraError(f"the {what} {path} is no .npy file: its header is no header") from error
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise CameraError(f"the {what} {path} holds values of the type {dtype}; expected numbers")
    n_bytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or len(data) != n_bytes:
        raise CameraError(
            f"the {what} {path} says that it has the shape {shown(shape)}, and holds {len(data)} "
            f"bytes instead of {shown(n_bytes)}"
        )
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
    if not np.isfinite(values).all():
        raise CameraError(f"the {what} {path} holds values that are not finite")
    return values.astype(np.float64)
