"""Scenes that are made in a folder beside their target, and moved there whole.

``.{name}.partial/`` is the work folder, and ``scene/`` in it what will be moved. Nothing in it opens
as a scene until the very end, and the target is touched by renaming alone.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from plenostream.errors import InvalidInput, StoreError, StoreExists, printable
from plenostream.files import durable
from plenostream.files.paths import PathLike, local_path, outside_scenes
from plenostream.format.staging import Staging, is_key_of_scene, says_scene
from plenostream.format.target import FolderTarget

__all__ = ["FolderStaging"]

_REPLACED = "replaced"


def _foreign_file(scene: Path) -> Path | None:
    """A file in the folder of a scene that is no part of one, if there is any."""
    for folder, folders, names in os.walk(scene):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if not is_key_of_scene(file.relative_to(scene).as_posix()):
                return file
    return None


def _is_replaceable(target: Path) -> bool:
    """A scene, whole or not, or an empty folder: what --overwrite may remove."""
    if not os.path.isdir(target):
        return False
    if not any(target.iterdir()):
        return True
    try:
        return says_scene((target / "zarr.json").read_bytes())
    except OSError:
        return False


class FolderStaging(Staging):
    """A scene that will be a folder, `target`."""

    def __init__(self, target: PathLike, *, overwrite: bool) -> None:
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
        self._making = self.folder / "scene"
        self.scene = FolderTarget(self._making)
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

    def _locked(self) -> None:
        self._restore_replaced()

    def _goes_on(self, writing: str, *, resume: bool) -> bool:
        return resume  # as the journal says

    def _opened(self, writing: str, *, resume: bool) -> None:
        self._making.mkdir(exist_ok=True)

    def _restore_replaced(self) -> None:
        """Put back the scene that was replaced, if we were killed between the two renamings."""
        replaced = self.folder / _REPLACED
        if replaced.exists() and not os.path.lexists(self.target):
            os.rename(replaced, self.target)

    def _reveal(self) -> None:
        # On the disk before it has its name: a power cut must not leave a scene of empty files.
        durable.flush_tree(self._making)
        if self.target.exists():
            os.rename(self.target, self.folder / _REPLACED)
        os.rename(self._making, self.target)
        durable.flush_folder(self.target.parent)

    def _give_up(self) -> None:
        self._restore_replaced()
        shutil.rmtree(self._making, ignore_errors=True)

    def _unwritable(self, error: OSError) -> StoreError:
        remedy = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "; free some space, or name a target on another disk (nothing was left behind)"
        return StoreError(f"{self._shown} cannot be written: {error.strerror or error}{remedy}")
