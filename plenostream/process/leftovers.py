"""Temporary files, folders and child processes, to be removed when a signal ends the process.

Whatever makes one enters it here first. An error or `KeyboardInterrupt` removes it in the `with`
that made it. A signal does not reach that `with`: the thread that takes the signal removes all that
is entered and ends the process (`interrupts`), while other threads may still be working.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = [
    "child_process",
    "child_processes",
    "clear_away",
    "folder_if_empty",
    "temporary_file",
    "temporary_folder",
]

_gate = threading.RLock()
"""Held while the list changes. `clear_away` never releases it, so that nothing is made after it."""
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
    """A file at `path` that is about to be made; before the `with` ends it is renamed or removed."""
    with _entry(lambda: os.unlink(path)):
        yield


@contextlib.contextmanager
def temporary_folder(path: str | os.PathLike[str]) -> Iterator[None]:
    """The same for a folder, with all that is in it."""
    with _entry(lambda: shutil.rmtree(path)):
        yield


@contextlib.contextmanager
def folder_if_empty(path: Path) -> Iterator[None]:
    """A folder that is about to be made; it is removed only while it is empty."""
    with _entry(lambda: os.rmdir(path)):
        yield


@contextlib.contextmanager
def child_process(process: subprocess.Popen[str]) -> Iterator[None]:
    """A child process, which would otherwise outlive this one."""

    def end() -> None:
        process.kill()
        process.wait()

    with _entry(end):
        yield


@contextlib.contextmanager
def child_processes(give_up: Callable[[], None]) -> Iterator[None]:
    """The processes that `multiprocessing` starts meanwhile, which write into what is removed after
    them; `give_up` has nobody start them again."""

    def end() -> None:
        give_up()
        for process in multiprocessing.active_children():
            process.kill()
            process.join()

    with _entry(end):
        yield


def clear_away() -> None:
    """Remove all that is entered, the latest first; nothing can be entered any more.

    For a process that ends at once: a thread that would enter something waits until then.
    """
    _gate.acquire()
    for remove in reversed(_entered):
        with contextlib.suppress(OSError):
            remove()
