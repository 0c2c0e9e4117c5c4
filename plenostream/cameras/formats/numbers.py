"""Numbers out of text files and .npy files, which are not trusted."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.document import check_memory, memory_for
from plenostream.errors import CameraError, shown
from plenostream.files.npy import HEADER_BYTES, parse_header
from plenostream.files.paths import input_file

__all__ = ["array_of", "rows_of"]

_LARGEST = 64_000_000
"""Bytes of a file, at most: half a million matrices."""
_SEPARATORS = (b" ", b"\t", b"\n", b"\r", b"\f", b"\v", b",")
_WORD_BYTES, _ROW_BYTES = 36, 240
"""Memory of a number, and of a line with any."""


def rows_of(path: Path, *, what: str) -> list[tuple[int, list[float]]]:
    """The lines of a text that hold numbers, each with its number in the file, counted from 1.

    What follows a # is a comment; numbers are parted by spaces or commas.

    Raises
    ------
    CameraError : nothing there, too large, or something else than finite numbers; names the line.
    """
    rows = []
    data = _content(path, what)
    n_words = 1 + sum(data.count(separator) for separator in _SEPARATORS)
    in_rows = n_words * _WORD_BYTES + data.count(b"\n") * _ROW_BYTES
    check_memory(path, 2 * len(data) + in_rows, memory_for(len(data)))
    for number, line in enumerate(io.BytesIO(data), start=1):
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
    data = _content(path, what)
    where = f"the {what} {path}"
    header = parse_header(data[:HEADER_BYTES], where=where, error=CameraError)
    # Smaller ones would grow more than files may: positions and rotations need 32 bits anyway.
    if header.dtype.kind not in "fi" or header.dtype.itemsize not in (4, 8):
        raise CameraError(f"{where} holds values of the type {header.dtype}; expected numbers")
    if header.n_bytes != len(data):
        raise CameraError(
            f"{where} says that it has the shape {shown(header.shape)}, and has {len(data)} bytes "
            f"instead of {shown(header.n_bytes)}"
        )
    values = np.frombuffer(data, header.dtype, offset=header.data_offset)
    values = values.reshape(header.shape, order="F" if header.fortran_order else "C")
    if not np.isfinite(values).all():
        raise CameraError(f"{where} holds values that are not finite")
    return values.astype(np.float64)


def _content(path: Path, what: str) -> bytes:
    place = input_file(path, what=what, error=CameraError)
    try:
        with place.open("rb") as file:
            # Never more than it says, and a byte: `read` takes the memory it may need beforehand.
            n_bytes = min(os.fstat(file.fileno()).st_size, _LARGEST)
            data = file.read(n_bytes + 1)
    except OSError as error:
        raise CameraError(f"the {what} {path} cannot be read: {error.strerror}") from error
    if len(data) > n_bytes:
        raise CameraError(
            f"the {what} {path} is longer than it says, or than the {_LARGEST} bytes that are read"
        )
    return data
