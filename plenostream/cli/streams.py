"""Standard output and standard error that are closed, full, or whose reader has gone."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

__all__ = ["open_streams", "output_failure"]


class _Stream(io.FileIO):
    """One of the process's own streams, which remembers the first error and then takes anything.

    So nothing fails a second time, while the error is being told or when the interpreter ends.
    """

    def __init__(self, number: int, *, needed: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._needed = needed
        """What cannot be written there is an error; else it is dropped."""
        self.failure: OSError | None = None

    def write(self, content: Any, /) -> int:
        """Write some of a buffer of bytes; how many."""
        if self.failure is None:
            try:
                return os.write(self.fileno(), content)
            except OSError as error:
                self.failure = error
                if self._needed:
                    raise
        return memoryview(content).nbytes


def open_streams() -> None:
    """Make the standard streams fit to be written to, whatever the process was started with.

    A standard output that was closed is as a pipe that nobody reads. Standard error is for who
    wants to know: where it cannot be written, the work goes on. What an encoding does not have is
    escaped. Streams that somebody has put in place of the process's own are left alone.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened gets the number, and what C libraries print.
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _opened(1, sys.stdout)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _opened(2, sys.stderr)


def _opened(number: int, before: Any) -> io.TextIOWrapper:
    raw = _Stream(number, needed=number == 1)
    if before is None:
        raw.failure = BrokenPipeError()
    else:
        before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", "utf-8"),
        errors="backslashreplace",
        # The end of a bar is seen before what comes after it on standard output.
        line_buffering=number == 2 or getattr(before, "line_buffering", True),
    )


def output_failure() -> OSError | None:
    """Why standard output could not take all that was to be printed, if so."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, _Stream) else None
