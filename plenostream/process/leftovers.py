"""What a process must not leave behind, should it be told to end in the middle of its work.

Whoever makes something that is not to stay enters it first: a file that is written aside, a folder
made for files to come, another process. An error or `KeyboardInterrupt` is answered where it was
made, as ever. A signal to the program is not: the thread that takes it clears away what is entered
and ends the process (`interrupts`), whatever the other threads are at.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = [
    "child_process",
    "clear_away",
    "folder_if_empty",
    "temporary_file",
    "temporary_folder",
]

_gate = threading.RLock()
"""Held while the list changes; by `clear_away` for good, so that nothing is made after it."""
_entered: list[Callable[[], object]] = []


@contextlib.contextmanager
def _entry(remove: Callable[[], object]) -> Iterator[None]:
    with _gate:
        _entered.append(remove)
    try:
        yield
    finally:
        with _gate:
            _entered.remove(remove)


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[None]:
    """`path` is about to be made, and has another name, or is gone, when the block ends."""
    with _entry(lambda: os.unlink(path)):
        yield


@contextlib.contextmanager
def temporary_folder(path: str | os.PathLike[str]) -> Iterator[None]:
    """The same for a folder with all that is in it."""
    with _entry(lambda: shutil.rmtree(path)):
        yield


@contextlib.contextmanager
def folder_if_empty(path: Path) -> Iterator[None]:
    """A folder that is about to be made, and stays if there is something in it."""
    with _entry(lambda: os.rmdir(path)):
        yield


@contextlib.contextmanager
def child_process(process: subprocess.Popen[str]) -> Iterator[None]:
    """A process that would go on without this one."""

    def end() -> None:
        process.kill()
        process.wait()

    with _entry(end):
        yield


def clear_away() -> None:
    """Remove all that is entered, the latest first; nothing can be entered any more.

    For a process that ends at once: threads that would enter something wait for good.
    """
    _gate.acquire()
    for remove in reversed(_entered):
        with contextlib.suppress(OSError):
            remove()
