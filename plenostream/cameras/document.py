"""Reads a JSON document from an untrusted file, within bounds on its size and on memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from plenostream.errors import CameraError, shown

__all__ = ["check_memory", "kind_of_value", "memory_for", "read_document"]

LARGEST_FILE = 256_000_000
"""Bytes of a camera file, at most."""
MEMORY = 64_000_000
"""Bytes that reading any file may take; a larger file may take `MEMORY_RATIO` times its own."""
MEMORY_RATIO = 4

_COSTS = {"[": 96, "{": 500, ",": 40, ":": 220, '"': 20}
"""Bytes of objects, at most, that each such character stands for: a list; a table with the camera
made of it; a number with its place in a list; a key with its place in a table and in the reader's
own list of keys; half a text. Measured with tracemalloc on files of nothing else."""


def read_document(path: Path) -> dict[str, Any]:
    """The object that the file `path` holds, UTF-8 (a byte order mark is let be), UTF-16 or 32.

    Raises
    ------
    CameraError : no plain file, not JSON, no object, a key named twice in one object, too large.
    """
    text = _read_text(path)
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise CameraError(f"the camera file {path} is not JSON: {_reason(error)}") from error
    except _Duplicate as error:
        raise CameraError(
            f"the camera file {path} names {error} twice in one object: which of them counts?"
        ) from error
    if not isinstance(document, dict):
        raise CameraError(
            f"the camera file {path} holds no JSON object, but a {kind_of_value(document)}"
        )
    return document


def kind_of_value(value: object) -> str:
    """What a JSON value is, in a word."""
    return {
        dict: "JSON object",
        list: "list",
        str: "text",
        bool: "truth value",
        type(None): "null",
    }.get(type(value), "number")


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            # Never more than it says, and a byte: `read` takes the memory it may need beforehand.
            n_bytes = min(os.fstat(file.fileno()).st_size, LARGEST_FILE)
            data = file.read(n_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CameraError(f"the camera file {path} cannot be read: {reason}") from error
    if len(data) > n_bytes:
        raise CameraError(
            f"the camera file {path} is longer than it says, or than the {LARGEST_FILE} bytes "
            "that are read at most"
        )
    allowed = memory_for(len(data))
    # One character beyond ASCII makes Python hold the whole text in up to four bytes each.
    check_memory(path, len(data) * (2 if data.isascii() else 5), allowed)
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise CameraError(
            f"the camera file {path} is not JSON: it is not text in {error.encoding} "
            f"(byte {error.start})"
        ) from error
    in_text = len(data) if data.isascii() else 4 * len(data)
    # Texts are copied out of it, and `\\u` brings characters beyond ASCII into them.
    in_text += len(data) if data.isascii() and b"\\u" not in data else 4 * len(data)
    in_objects = sum(cost * text.count(character) for character, cost in _COSTS.items())
    check_memory(path, in_text + in_objects, allowed)
    return text


def memory_for(n_bytes: int) -> int:
    """Bytes that reading a file of `n_bytes` may take."""
    return max(MEMORY, MEMORY_RATIO * n_bytes)


def check_memory(path: Path, n_bytes: int, allowed: int) -> None:
    """Raise CameraError where reading would take more than is allowed."""
    if n_bytes > allowed:
        raise CameraError(
            f"the camera file {path} would take up to {n_bytes // 1_000_000} MB of memory to read; "
            f"at most {allowed // 1_000_000} MB are used for it. Split it into smaller files"
        )


class _Duplicate(Exception):
    """A key that one object has twice; not a ValueError, since the text is JSON."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(shown(key))
            seen.add(key)
    return document


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)
