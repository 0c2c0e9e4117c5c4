"""The exception family, grouped by what the caller can do about an error.

::

    PlenostreamError                    exit 1
    |- InvalidInput     (+ ValueError)       2   a bad option or combination of options
    |- CheckpointError                       1   not a checkpoint that can be represented
    |- CameraError                           1   camera file that cannot be used
    |- OutputError                           1   the picture or film cannot be written there
    |- StoreError                            1
    |  |- StoreNotFound (+ FileNotFoundError)    nothing there that opens as a scene
    |  |- StoreExists   (+ FileExistsError)      the target is there and may not be replaced
    |  |- StoreFormat                            not this format, or a newer version of it
    |  `- BrickCorrupt                           a damaged chunk or brick; names it
    |- BudgetError                           3   what was asked for does not fit the memory named
    |- DeviceError                           1   no such backend, or out of memory in spite of the budget
    |- ClusterError                          1   the cluster cannot be used, or was lost
    |- AddressError                          1   nothing can listen at this address
    |- RenderCancelled                       1   the caller wants the picture no more
    `- InternalError                        70   an invariant broke: our bug

The message of each says what was wrong, where, what was got and expected, and what to try.
Ctrl-C ends a command with 130. `shown` and `printable` put values and names from files into messages.
"""

from __future__ import annotations

import reprlib
from functools import partial
from typing import Any

__all__ = [
    "AddressError",
    "BrickCorrupt",
    "BudgetError",
    "CameraError",
    "CheckpointError",
    "ClusterError",
    "DeviceError",
    "InternalError",
    "InvalidInput",
    "OutputError",
    "PlenostreamError",
    "RenderCancelled",
    "StoreError",
    "StoreExists",
    "StoreFormat",
    "StoreNotFound",
    "printable",
    "shown",
]

# `repr` alone would print a value of any size, and fail on one that is nested without end.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """`value` in a message: one line, and short, whatever it is; nothing in it that does not print."""
    try:
        text = _SHORT.repr(value)
    except ValueError:
        # Python writes no integers of thousands of digits.
        return "an integer of thousands of digits"
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    r"""`text` with everything that does not print as itself escaped: ``\x1b``, ``\n``, ``\u202e``.

    A file chooses its own names. Control characters in them would colour, clear or rewrite the
    terminal, marks of direction would show another name, and half a surrogate pair does not print
    at all. What is printable already stays as it is, so this may be done twice.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


class PlenostreamError(Exception):
    """Base of every error that plenostream raises on purpose.

    Messages name what files and users said; what of it does not print is escaped here, for all.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class InvalidInput(PlenostreamError, ValueError):
    """An option, or a combination of options, that means nothing."""

    exit_code = 2


class CheckpointError(PlenostreamError):
    """A checkpoint that is broken, hostile, or of a kind that a scene cannot represent yet."""


class CameraError(PlenostreamError):
    """A camera file, frame or lens model that cannot be used."""


class OutputError(PlenostreamError):
    """A picture or film that cannot be written where it was asked for."""


class StoreError(PlenostreamError):
    """A scene that cannot be opened, read or written."""


class StoreNotFound(StoreError, FileNotFoundError):
    """There is nothing at this place that opens as a scene."""


class StoreExists(StoreError, FileExistsError):
    """The target exists, and replacing it was not asked for."""


class StoreFormat(StoreError):
    """Not a plenostream scene, or a version of the format that this reader does not know."""


class BrickCorrupt(StoreError):
    """A chunk or brick whose bytes are missing or are not those that were written.

    Attributes
    ----------
    array : str or None       path of the array inside the scene, such as ``rows/sh``
    chunk : int or None       number of the chunk along the array's first axis
    brick_id : int or None    row of the brick in ``bricks/index``
    """

    def __init__(
        self,
        message: str,
        *,
        array: str | None = None,
        chunk: int | None = None,
        brick_id: int | None = None,
    ) -> None:
        super().__init__(message)
        self.array = array
        self.chunk = chunk
        self.brick_id = brick_id


class BudgetError(PlenostreamError):
    """What was asked for does not fit the memory that was allowed.

    Attributes
    ----------
    planned_bytes, allowed_bytes, smallest_bytes : int
        what it would take as asked, what was allowed, and the smallest allowance that works
    """

    exit_code = 3

    def __init__(
        self, message: str, *, planned_bytes: int, allowed_bytes: int, smallest_bytes: int
    ) -> None:
        super().__init__(message)
        self.planned_bytes = planned_bytes
        self.allowed_bytes = allowed_bytes
        self.smallest_bytes = smallest_bytes

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled as a call with their positional arguments alone.
        sizes = {
            name: getattr(self, name)
            for name in ("planned_bytes", "allowed_bytes", "smallest_bytes")
        }
        return partial(type(self), **sizes), self.args


class DeviceError(PlenostreamError):
    """The device or backend asked for is not there or failed."""


class ClusterError(PlenostreamError):
    """A Dask cluster that cannot be reached or used, or that was lost."""


class AddressError(PlenostreamError):
    """An address of the machine at which the viewer cannot listen."""


class RenderCancelled(PlenostreamError):
    """A picture that its caller wanted no more (`cancel`); the renderer draws others as before."""


class InternalError(PlenostreamError):
    """An invariant of ours does not hold; please report it with the message."""

    exit_code = 70
