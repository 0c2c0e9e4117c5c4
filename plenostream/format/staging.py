"""The place beside the target where a scene is made, until it is moved there whole.

``.{name}.partial/`` holds ``scene/`` (what will be moved), ``journal.json`` (of which conversion
this is the work), ``lock``, and whatever else the converter keeps in between. Nothing in it opens
as a scene until the very end, and the target is touched by renaming alone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from plenostream.errors import InvalidInput, PlenostreamError, StoreError, StoreExists, printable
from plenostream.files import durable
from plenostream.files.paths import local_path, outside_scenes
from plenostream.format.layout import ATTRIBUTES_KEY

__all__ = ["Staging", "flush_tree", "write_atomically"]

_JOURNAL = "journal.json"
_LOCK = "lock"
_REPLACED = "replaced"


def write_atomically(path: Path, content: bytes) -> None:
    """Make `path` hold `content`, or leave it as it was: never in between."""
    aside = path.with_name(path.name + ".new")
    aside.write_bytes(content)
    durable.replace(aside, path)


def flush_tree(folder: Path) -> None:
    """Wait until everything below and in `folder` is on the disk: files, then the folders' names."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            durable.flush_file(os.path.join(place, name))
        durable.flush_folder(place)


_OURS = re.compile(
    r"(levels/([0-9]+/)?)?zarr\.json"
    r"|((levels/[0-9]+/)?(bricks|rows)|background|basis)/((\w+/)?zarr\.json"
    r"|\w+/c/[0-9]+(/[0-9]+)*)",
    re.ASCII,
)
"""Keys that a scene may have."""


def _foreign_file(scene: Path) -> Path | None:
    """A file in the folder of a scene that is no part of one, if there is any."""
    for folder, folders, names in os.walk(scene):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if not _OURS.fullmatch(file.relative_to(scene).as_posix()):
                return file
    return None


def _is_replaceable(target: Path) -> bool:
    """A scene, whole or not, or an empty folder: what --overwrite may remove."""
    if not os.path.isdir(target):
        return False
    if not any(target.iterdir()):
        return True
    try:
        document = json.loads((target / "zarr.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return isinstance(attributes, dict) and ATTRIBUTES_KEY in attributes


class Staging:
    """A scene in the making, locked against other converters; a context manager.

    Leaving it with an error removes everything that was made, unless the error is an interruption
    (Ctrl-C): then the work stays for `resume`.

    Attributes
    ----------
    target : Path     where the scene will be
    folder : Path     the place beside it
    scene : Path      the scene in the making, in `folder`
    """

    def __init__(self, target: str | os.PathLike[str], *, overwrite: bool) -> None:
        """Check that a scene can be put at `target`; nothing is created yet.

        Raises
        ------
        InvalidInput : no path or a URL; a scene is a folder, and this names a zip file; the
            current folder or one above it, which cannot be moved away under who works there.
        StoreExists : something is there, and may not be replaced.
        StoreError : it would lie in another scene; the folder that should hold it does not exist.
        """
        # Resolved, so that the work lies on the same disk as what a link may point to.
        self.target = Path(os.path.realpath(local_path(target, what="scene")))
        self._shown = printable(os.fspath(target))
        here = Path(os.path.realpath(os.curdir))
        if self.target in (here, *here.parents):
            raise InvalidInput(
                f"{self._shown} is the current folder or one above it; name a folder for the scene"
            )
        outside_scenes(self.target.parent, shown=target, error=StoreError)
        self._overwrite = overwrite
        self.folder = self.target.with_name(f".{self.target.name}.partial")
        self.scene = self.folder / "scene"
        self._lock: int | None = None
        if self.target.suffix == ".zip":
            raise InvalidInput(
                f"{self._shown}: scenes are written as folders; zip the content of one afterwards"
            )
        self._check_target()
        if not os.path.isdir(self.target.parent):
            raise StoreError(f"{self._shown} cannot be written: its folder does not exist")
        try:
            durable.try_folder(self.target.parent)
            if not os.path.lexists(self.folder):
                # The name may be too long for the file system.
                self.folder.mkdir()
                self.folder.rmdir()
        except OSError as error:
            raise StoreError(f"{self._shown} cannot be written: {error.strerror}") from error

    def _check_target(self) -> None:
        if not os.path.lexists(self.target):
            return
        if not self._overwrite:
            raise StoreExists(f"{self._shown} exists already; --overwrite would replace it")
        if not _is_replaceable(self.target):
            raise StoreExists(f"{self._shown} exists and is not a scene; it will not be replaced")
        foreign = _foreign_file(self.target)
        if foreign is not None:
            raise StoreExists(
                f"{self._shown} will not be replaced, since {foreign} would go with it and is no "
                "part of a scene; move it elsewhere, or name another place for the scene"
            )

    def begin(self, journal: Mapping[str, Any], *, resume: bool) -> Self:
        """Create or take up the place; `journal` says, in JSON values, what would be made.

        Raises
        ------
        StoreError : another process works here, or `resume` is set and the work that is there
            belongs to another checkpoint or other options.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            self._acquire()
            self._restore_replaced()
            self._take_up(dict(journal), resume=resume)
            self.scene.mkdir(exist_ok=True)
        except OSError as error:
            # What an earlier run left is kept; a folder that could not be begun holds nothing yet.
            if not os.path.exists(self.folder / _JOURNAL):
                shutil.rmtree(self.folder, ignore_errors=True)
            self._release()
            raise self._unwritable(error) from error
        except StoreError:
            self._release()
            raise
        return self

    def _take_up(self, journal: dict[str, Any], *, resume: bool) -> None:
        path = self.folder / _JOURNAL
        earlier: object = None
        if path.exists():
            try:
                earlier = json.loads(path.read_bytes())
            except ValueError as error:
                raise StoreError(f"{path} is damaged; remove {self.folder}") from error
        elif any(not e.name.startswith((_LOCK, _JOURNAL)) for e in self.folder.iterdir()):
            raise StoreError(f"{self.folder} is in the way, and not the work of a conversion")
        if resume and earlier is not None:
            if earlier != journal:
                raise StoreError(
                    f"the unfinished work for {self._shown} is of another checkpoint or was made "
                    "with other options or by another version; convert without --resume to start "
                    "anew"
                )
            return
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name not in (_LOCK, _JOURNAL):
                entry.unlink()
        write_atomically(path, json.dumps(journal, indent=2).encode())

    def _acquire(self) -> None:
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # The system gives it back when the process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"another conversion to {self._shown} is at work") from error

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _restore_replaced(self) -> None:
        """Put back the scene that was replaced, if we were killed between the two renamings."""
        replaced = self.folder / _REPLACED
        if replaced.exists() and not os.path.lexists(self.target):
            os.rename(replaced, self.target)

    def publish(self) -> None:
        """Move the scene to its target and remove everything else.

        Raises
        ------
        StoreExists, StoreError : the target appeared meanwhile, or cannot be moved to.
        """
        self._check_target()
        try:
            # On the disk before it has its name: a power cut must not leave a scene of empty files.
            flush_tree(self.scene)
            if self.target.exists():
                os.rename(self.target, self.folder / _REPLACED)
            os.rename(self.scene, self.target)
            durable.flush_folder(self.target.parent)
            shutil.rmtree(self.folder)
        except OSError as error:
            raise self._unwritable(error) from error
        self._release()

    def _unwritable(self, error: OSError) -> StoreError:
        remedy = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "; free some space, or name a target on another disk (nothing was left behind)"
        return StoreError(f"{self._shown} cannot be written: {error.strerror or error}{remedy}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None = None, *_: object
    ) -> None:
        if self._lock is None:
            return
        failed = kind is not None and issubclass(kind, Exception)
        if failed:
            self._restore_replaced()
            shutil.rmtree(self.folder, ignore_errors=True)
        self._release()
        if failed and isinstance(error, OSError) and not isinstance(error, PlenostreamError):
            raise self._unwritable(error) from error
