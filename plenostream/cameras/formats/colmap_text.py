"""COLMAP's `cameras.txt` and `images.txt`.

A camera is a line ``id MODEL width height parameters...``. An image is a line
``id qw qx qy qz tx ty tz camera name`` and a second one with the points seen in it, which may be
empty. Lines that begin with # are comments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from plenostream.cameras.formats.colmap_records import CameraRecord, ImageRecord
from plenostream.cameras.formats.placed import check_count
from plenostream.errors import CameraError, shown
from plenostream.files.paths import input_file

__all__ = ["read_text"]

_LONGEST_LINE = 64_000_000
"""Bytes: a million points in one image."""
_LARGEST_ID = 2**32

_Record = TypeVar("_Record")


def read_text(folder: Path) -> tuple[dict[int, CameraRecord], list[ImageRecord]]:
    """Cameras by their number, and images.

    Raises
    ------
    CameraError : nothing there, or a line that is none of COLMAP's; names it.
    """
    cameras, images = (
        input_file(folder / name, what="COLMAP file", error=CameraError)
        for name in ("cameras.txt", "images.txt")
    )
    return dict(_counted(_cameras(cameras), cameras)), list(_counted(_images(images), images))


def _counted(records: Iterator[_Record], path: Path) -> Iterator[_Record]:
    n_bytes = path.stat().st_size
    for number, record in enumerate(records, start=1):
        check_count(path, number, n_bytes)
        yield record


def _cameras(path: Path) -> Iterator[tuple[int, CameraRecord]]:
    for number, line in _lines(path):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 5:
            raise CameraError(f"{path}, line {number}: {shown(line.strip())} is no camera")
        where = f"{path}, line {number}"
        camera_id, width, height = (_whole(words[i], where) for i in (0, 2, 3))
        parameters = tuple(_number(word, where) for word in words[4:])
        yield camera_id, CameraRecord(words[1], width, height, parameters)


def _images(path: Path) -> Iterator[ImageRecord]:
    lines = _lines(path)
    for number, line in lines:
        words = line.strip().split(maxsplit=9)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 10:
            raise CameraError(f"{path}, line {number}: {shown(line.strip())} is no image")
        where = f"{path}, line {number}"
        pose = [_number(word, where) for word in words[1:8]]
        yield ImageRecord(
            _whole(words[0], where),
            _whole(words[8], where),
            tuple(pose[:4]),
            tuple(pose[4:]),
            words[9],
        )
        next(lines, None)  # its points


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a file with their numbers, counted from 1; never more than one in memory."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise CameraError(
                        f"{path}, line {number}: it has more than {_LONGEST_LINE} bytes"
                    )
                yield number, line.decode("utf-8", "surrogateescape")
    except OSError as error:
        raise CameraError(f"the COLMAP file {path} cannot be read: {error.strerror}") from error


def _whole(word: str, where: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 16 and int(word) < _LARGEST_ID):
        raise CameraError(f"{where}: {shown(word)} is no whole number")
    return int(word)


def _number(word: str, where: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise CameraError(f"{where}: {shown(word)} is not a finite number")
    return number
