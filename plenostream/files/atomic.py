"""Files that are whole or not there: written under another name beside the target, then renamed.

1. `checked_output` says whether a file may come to a place, before any work is done.
2. `atomic_file` makes the file aside at once, so that what the system has against it is known too.
3. Every byte goes through `AsideFile.write`, which forgets no error, even where a library does.
4. The bytes are on the disk before the name is (`durable`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plenostream.errors import OutputError, printable
from plenostream.files.durable import replace, try_folder
from plenostream.files.paths import PathLike, file_kind, local_path, outside_scenes
from plenostream.process.leftovers import folder_if_empty, temporary_file

__all__ = ["AsideFile", "atomic_file", "checked_output", "made_folders", "try_place", "writing"]


def checked_output(path: PathLike, *, overwrite: bool, what: str = "output") -> Path:
    """Where a file named `path` will be, links followed; nothing is made.

    Raises
    ------
    InvalidInput : no path, a URL.
    OutputError : it names a folder, lies in a scene, is there and no plain file, or is there and
        `overwrite` is false.
    """
    named = local_path(path, what=what)
    shown = printable(os.fspath(path))
    if os.path.basename(os.fspath(path)) in ("", ".", ".."):
        raise OutputError(f"{shown} names a folder; name a file for the {what}")
    real = Path(os.path.realpath(named))
    outside_scenes(real.parent, shown=path, error=OutputError)
    try:
        mode = os.lstat(real).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return real
    except OSError as error:
        raise OutputError(f"{shown} cannot be written: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise OutputError(
            f"{shown} is there and is {file_kind(mode)}, not a plain file; it is left as it is"
        )
    if not overwrite:
        raise OutputError(f"{shown} exists; name another place, or replace it with --overwrite")
    return real


@contextlib.contextmanager
def writing(path: PathLike) -> Iterator[None]:
    """Turn what the system says against writing to `path` into an OutputError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        folder = os.path.dirname(os.path.abspath(path))
        if error.errno == errno.ENOENT and not os.path.isdir(folder):
            why = f"there is no folder {printable(folder)}"
        raise OutputError(f"{printable(os.fspath(path))} cannot be written: {why}") from error


class AsideFile(io.FileIO):
    """A new file without a buffer of ours: what is written is with the system, or is an error.

    Libraries may swallow an error, or go on and fail again where nobody listens. So the first one
    is kept, what follows it is dropped, and `settle` raises it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x+")
        self._failure: OSError | None = None

    def write(self, content: Any, /) -> int:
        """Write all of a contiguous buffer; its number of bytes."""
        left = memoryview(content)
        # A view of no elements cannot be cast, and has nothing to write.
        left = left.cast("B") if left.nbytes else memoryview(b"")
        n_bytes = len(left)
        try:
            while left and self._failure is None:
                left = left[os.write(self.fileno(), left) :]
        except OSError as error:
            self._failure = error
            raise
        return n_bytes

    def settle(self) -> None:
        """Raise the error that a write met, if one did."""
        if self._failure is not None:
            raise self._failure


@contextlib.contextmanager
def atomic_file(path: PathLike, *, overwrite: bool, what: str = "output") -> Iterator[AsideFile]:
    """An open file in the folder of `path`; it becomes `path` when the `with` ends well.

    When the `with` raises (Ctrl-C included) it is removed. An error of writing that was not let
    through inside it is raised at its end. What else is raised inside is passed on as it is: it
    may run for long and do more than write.

    Raises
    ------
    InvalidInput, OutputError : as for `checked_output`; what the system says against making the
        file, writing it (when the `with` ends) or renaming it.
    """
    real = checked_output(path, overwrite=overwrite, what=what)
    # Short, so that whatever name the target may have, this one may too.
    aside = real.with_name(f".{secrets.token_hex(6)}.part")
    with temporary_file(aside):
        with writing(path):
            file = AsideFile(aside)
        try:
            with file:
                yield file
                with writing(path):
                    file.settle()
            # A file that appeared meanwhile is somebody's work too.
            checked_output(path, overwrite=overwrite, what=what)
            with writing(path):
                replace(aside, real)
        finally:
            with contextlib.suppress(OSError):
                aside.unlink()


def try_place(path: PathLike, *, what: str) -> None:
    """Find out whether something can be written at `path`, whose folder may have to be made first.

    It is tried in the nearest folder above that is there.

    Raises
    ------
    InvalidInput : no path, a URL.
    OutputError : it lies in a scene; what the system says.
    """
    named = local_path(path, what=what)
    folder = Path(os.path.realpath(named)).parent
    outside_scenes(folder, shown=path, error=OutputError)
    while not os.path.lexists(folder):
        folder = folder.parent
    with writing(path):
        try_folder(folder)


@contextlib.contextmanager
def made_folders(folder: Path) -> Iterator[None]:
    """Make `folder` and what is missing above it; if the `with` raises, those still empty go again.

    Raises
    ------
    OutputError : what the system says against making them.
    """
    missing = [part for part in (folder, *folder.parents) if not os.path.lexists(part)]
    with contextlib.ExitStack() as entered:
        for part in reversed(missing):
            entered.enter_context(folder_if_empty(part))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the folder {printable(str(folder))} cannot be made: {error.strerror}"
            ) from error
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # not empty: it holds finished pictures
                for part in missing:
                    part.rmdir()
            raise
