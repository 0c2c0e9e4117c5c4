"""Scenes that are written to other machines, where nothing can be moved.

Each chunk goes to its place at once. Meanwhile the root document says that the scene is not complete,
and of which conversion it is; the one that says `complete` takes its place last. The work folder is
one of this machine: ``.{name}-{digest of the URL}.partial`` in the current folder.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import xxhash

from plenostream.errors import (
    BrickCorrupt,
    InvalidInput,
    PlenostreamError,
    StoreError,
    StoreExists,
    printable,
)
from plenostream.files import durable
from plenostream.files.paths import PathLike, outside_scenes, scene_name, url_of, without_secrets
from plenostream.format.attributes import ATTRIBUTES_KEY, unfinished_attributes
from plenostream.format.folder_staging import FolderStaging
from plenostream.format.nodes import LARGEST_DOCUMENT
from plenostream.format.remote_target import remote_target
from plenostream.format.staging import Staging, is_key_of_scene, says_scene

__all__ = ["RemoteStaging", "open_staging"]

_log = logging.getLogger(__name__)

_ROOT = "zarr.json"


def open_staging(target: PathLike, *, overwrite: bool) -> Staging:
    """The place of a scene that is to be made at `target`, a folder or a URL of one; nothing is created
    yet.

    Raises
    ------
    InvalidInput, StoreExists, StoreError : as for `FolderStaging` and `RemoteStaging`.
    """
    url = url_of(target) if isinstance(target, str | os.PathLike) else None
    if url is None:
        return FolderStaging(target, overwrite=overwrite)
    return RemoteStaging(url, overwrite=overwrite)


class RemoteStaging(Staging):
    """A scene that will be at a URL.

    What the system says no to leaves the work as it is, for `resume`: an error of the network must not
    cost what was put before.
    """

    def __init__(self, url: str, *, overwrite: bool) -> None:
        """Check that a scene can be put at `url`; nothing is created yet.

        Raises
        ------
        InvalidInput : a URL that makes no sense, of a zip file, or whose library is not installed.
        StoreExists : something is there, and may not be replaced.
        StoreError : it cannot be reached or listed; the current folder takes no files.
        """
        self._shown = printable(without_secrets(url)).rstrip("/")
        name = scene_name(url)
        if name.endswith(".zip"):
            raise InvalidInput(
                f"{self._shown}: scenes are written as folders; zip the content of one afterwards"
            )
        self._overwrite = overwrite
        self.scene = remote_target(url)
        self._writing: str | None = None
        """Which conversion the root document is to name, once it does."""
        digest = xxhash.xxh3_64_hexdigest(url.rstrip("/").encode())[:8]
        self.folder = Path(os.path.realpath(os.curdir)) / f".{name}-{digest}.partial"
        outside_scenes(self.folder.parent, shown=self.folder, error=StoreError)
        try:
            self._check_target()
        except OSError as error:
            if isinstance(error, PlenostreamError):
                raise
            raise StoreError(f"{self._shown} cannot be written: {error}") from error
        try:
            durable.try_folder(self.folder.parent)
        except OSError as error:
            raise StoreError(
                f"the work for {self._shown} would lie in the current folder, which cannot be "
                f"written: {error.strerror}"
            ) from error

    def _check_target(self) -> None:
        root = self._root()
        if self._writing is not None:
            if root is None or _conversion(root) != self._writing:
                raise StoreExists(f"another conversion wrote to {self._shown} meanwhile")
            return
        if root is not None and _conversion(root):
            return  # `begin` decides
        if not self._overwrite and (root is not None or any(self.scene.entries())):
            raise StoreExists(f"{self._shown} exists already; --overwrite would replace it")
        if root is not None and not says_scene(root):
            raise StoreExists(f"{self._shown} exists and is not a scene; it will not be replaced")
        for key, _ in self.scene.entries():
            if root is None:
                raise StoreExists(
                    f"{self._shown} exists and is not a scene; it will not be replaced"
                )
            if not is_key_of_scene(key):
                raise StoreExists(
                    f"{self._shown} will not be replaced, since {key} in it is no part of a scene; "
                    "move it elsewhere, or name another place for the scene"
                )

    def _root(self) -> bytes | None:
        try:
            return self.scene.read(_ROOT, at_most=LARGEST_DOCUMENT)
        except KeyError:
            return None
        except BrickCorrupt as error:
            raise StoreExists(f"{self._shown} exists and is not a scene: {error}") from error

    def _locked(self) -> None:
        """Nothing was moved."""

    def _goes_on(self, writing: str, *, resume: bool) -> bool:
        root = self._root()
        earlier = None if root is None else _conversion(root)
        going_on = resume and earlier == writing
        if earlier and not going_on and not self._overwrite:
            raise StoreExists(
                f"an unfinished scene is at {self._shown}; --resume goes on with it, where checkpoint "
                "and options are the same, and --overwrite starts anew"
            )
        return going_on

    def _opened(self, writing: str, *, resume: bool) -> None:
        if not resume and (left := self._keys_but_root()):
            # First, so that nobody takes what is left of another scene for a whole one, nor, if we are
            # killed here, goes on with it as if it were of this conversion.
            self._say_unfinished("")
            self.scene.remove(left)
        self._say_unfinished(writing)
        self._writing = writing
        if resume:
            self.scene.take_up()

    def _say_unfinished(self, writing: str) -> None:
        attributes = unfinished_attributes(writing)
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        self.scene.put(_ROOT, json.dumps(document, indent=2).encode())

    def _keys_but_root(self) -> list[str]:
        """What else is there of a scene."""
        return [key for key, _ in self.scene.entries() if key != _ROOT and is_key_of_scene(key)]

    def _reveal(self) -> None:
        """The root document, the last one that was put, says it."""

    def _is_to_be_kept(self, error: BaseException) -> bool:
        refused = error if not isinstance(error, PlenostreamError) else error.__cause__
        return isinstance(refused, OSError) or super()._is_to_be_kept(error)

    def _give_up(self) -> None:
        try:
            root = self._root()
            if root is None or _conversion(root) != self._writing:
                return  # it is another's by now
            self.scene.remove(self._keys_but_root())
            self.scene.remove([_ROOT])
        except (OSError, StoreError) as error:
            _log.warning("what was put at %s could not be removed: %s", self._shown, error)

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._shown} cannot be written: {error.strerror or error}; --resume goes on from what "
            "is there"
        )


def _conversion(root: bytes) -> str | None:
    """Which conversion an unfinished scene is of; None of a whole one, or of something else."""
    if not says_scene(root):
        return None
    attributes = json.loads(root)["attributes"][ATTRIBUTES_KEY]
    writing = attributes.get("writing") if isinstance(attributes, dict) else None
    return writing if isinstance(writing, str) and attributes.get("complete") is False else None
