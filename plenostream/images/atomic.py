"""Files that are whole or not there: written under another name beside the target, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from plenostream.errors import OutputError
from plenostream.leftovers import folder_if_empty, temporary_file

__all__ = ["atomic_path", "made_folders", "refuse_existing", "writing"]


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise where `path` cannot become a file of ours.

    Raises
    ------
    OutputError : it is a folder or something else that is no plain file, or it is there and
        `overwrite` is false.
    """
    if not os.path.lexists(path):
        return
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is there and is not a plain file; it is left as it is")
    if not overwrite:
        raise OutputError(f"{path} exists; name another place, or replace it with --overwrite")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says against writing to `path` into an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def atomic_path(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A free name in the folder of `path` to write to; it becomes `path` when the block ends well.

    When the block raises (Ctrl-C included) the file under that name is removed. What the block
    raises is passed on as it is: it may run for long and do more than write.

    Raises
    ------
    OutputError : `path` is there and may not be replaced; what the system says against renaming.
    """
    refuse_existing(path, overwrite=overwrite)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with temporary_file(aside):
        try:
            yield aside
            # A file that appeared meanwhile is somebody's work too.
            refuse_existing(path, overwrite=overwrite)
            with writing(path):
                os.replace(aside, path)
        finally:
            with contextlib.suppress(OSError):
                aside.unlink()


@contextlib.contextmanager
def made_folders(folder: Path) -> Iterator[None]:
    """Make `folder` and what is missing above it; if the block raises, those still empty go again.

    Raises
    ------
    OutputError : what the system says against making them.
    """
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    with contextlib.ExitStack() as entered:
        for part in reversed(missing):
            entered.enter_context(folder_if_empty(part))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {folder} cannot be made: {error.strerror}") from error
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # not empty: it holds finished pictures
                for part in missing:
                    part.rmdir()
            raise
