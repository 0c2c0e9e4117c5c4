"""What may become of a file: it is read, or refused with an error of ours, within its memory."""

from __future__ import annotations

import re
import resource
import traceback
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

from plenostream.errors import InternalError, PlenostreamError

__all__ = ["Finding", "memory_bound", "observe", "slug"]

_BOUND_TIMES, _BOUND_BYTES = 4, 64_000_000


class Finding(AssertionError):
    """A reader did with a file what it must not do.

    Attributes
    ----------
    kind : str    what happened and where, the same for files that show the same fault
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def memory_bound(n_bytes: int) -> int:
    """Bytes that reading a file of `n_bytes` may take."""
    return max(_BOUND_TIMES * n_bytes, _BOUND_BYTES)


def observe(read: Callable[[], None], n_bytes: int) -> str:
    """Run `read`, which reads a file of `n_bytes`; how it ended, in a line.

    Memory is what Python, NumPy and the unpackers report to tracemalloc, and the growth of the
    process's largest resident size, which sees what they do not report.

    Raises
    ------
    Finding : an error that is not ours or says that it is our bug, a warning, too much memory.
    """
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    resident = _peak_resident_bytes()
    ending = "read"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read()
    except Finding:
        raise
    except InternalError as error:
        raise _finding(error) from error
    except PlenostreamError as error:
        ending = f"{type(error).__name__}: {error}"
    except Exception as error:
        raise _finding(error) from error
    took = max(tracemalloc.get_traced_memory()[1] - held, _peak_resident_bytes() - resident)
    if took > memory_bound(n_bytes):
        raise Finding(
            f"memory: {ending}",
            f"{took} bytes were allocated for a file of {n_bytes}; {memory_bound(n_bytes)} at most "
            f"are right. It ended with: {ending}",
        )
    return ending


def slug(text: str, *, folder: Path | None = None) -> str:
    """A file name for an ending: its words, without paths, numbers and what the file said."""
    if folder is not None:
        text = text.replace(str(folder), "")
    text = re.sub(r"'[^']*'|\"[^\"]*\"|[0-9]\S*", " ", text[:300])
    return "-".join(re.findall(r"[A-Za-z_]+", text))[:80].strip("-")


def _peak_resident_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _finding(error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/plenostream/" in frame.filename] or list(frames)
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "nowhere"
    text = "".join(traceback.format_exception(error))
    return Finding(f"{type(error).__name__} at {where}", f"{error!r} at {where}\n{text}")
