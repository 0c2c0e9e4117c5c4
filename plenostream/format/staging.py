"""A scene in the making: its work folder, locked; and its bytes, which nobody takes for a scene yet.

The work folder holds ``journal.json`` (of which conversion this is the work), ``lock``, and whatever
the converter keeps in between. Where the scene's own bytes lie until it is whole is for each kind to
say: `folder_staging` and `remote_staging`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import xxhash

from plenostream.errors import ClusterError, PlenostreamError, StoreError
from plenostream.files.durable import write_atomically
from plenostream.format.attributes import ATTRIBUTES_KEY
from plenostream.format.layout import SceneMeta
from plenostream.format.target import ByteTarget
from plenostream.format.writer import write_documents

__all__ = ["Staging", "is_key_of_scene", "says_scene"]

_JOURNAL = "journal.json"
_LOCK = "lock"

_OURS = re.compile(
    r"(levels/([0-9]+/)?)?zarr\.json"
    r"|((levels/[0-9]+/)?(bricks|rows)|background|basis)/((\w+/)?zarr\.json"
    r"|\w+/c/[0-9]+(/[0-9]+)*)",
    re.ASCII,
)


def is_key_of_scene(key: str) -> bool:
    """Whether a scene may have something at this key."""
    return _OURS.fullmatch(key) is not None


def says_scene(text: bytes) -> bool:
    """Whether a root document is of a scene, whole or not."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return isinstance(attributes, dict) and ATTRIBUTES_KEY in attributes


class Staging(ABC):
    """A scene in the making, locked against other converters; a context manager.

    Leaving it with an error removes everything that was made, unless the error is an interruption
    (Ctrl-C) or the loss of a cluster: then the work stays for `resume`.

    Attributes
    ----------
    folder : Path         work folder
    scene : ByteTarget    what the scene will consist of
    n_bytes : int         of all that the scene consists of, once it is published
    """

    folder: Path
    scene: ByteTarget
    n_bytes: int
    _shown: str
    """Where the scene will be, for messages."""
    _lock: int | None = None

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
            self._locked()
            text = json.dumps(journal, indent=2)
            writing = xxhash.xxh3_64_hexdigest(text.encode())
            going_on = self._goes_on(writing, resume=resume)
            self._take_up(text, resume=going_on)
            self._opened(writing, resume=going_on)
        except StoreError:
            self._leave()
            raise
        except OSError as error:
            self._leave()
            raise self._unwritable(error) from error
        except BaseException:  # Ctrl-C: what is there stays, and is nobody's
            self._release()
            raise
        return self

    def publish(self, meta: SceneMeta, *, codec: str) -> None:
        """Write the documents of a scene whose chunks are all there, show it at its target, and remove
        everything else.

        Raises
        ------
        StoreExists, StoreError : the target appeared meanwhile, or cannot be written.
        """
        self._check_target()
        try:
            write_documents(self.scene, meta, codec=codec, where=self._shown)
            self.n_bytes = sum(size for _, size in self.scene.entries())
            self._reveal()
            shutil.rmtree(self.folder)
        except OSError as error:
            raise self._unwritable(error) from error
        self._release()

    @abstractmethod
    def _check_target(self) -> None:
        """Raise where the scene may not come to its target."""

    @abstractmethod
    def _locked(self) -> None:
        """Called when nobody else is at work."""

    @abstractmethod
    def _goes_on(self, writing: str, *, resume: bool) -> bool:
        """Whether to go on with what an earlier run put, of a journal of this digest; raise StoreError
        where that is in the way."""

    @abstractmethod
    def _opened(self, writing: str, *, resume: bool) -> None:
        """Called when the work folder is ready, to make `scene` ready."""

    @abstractmethod
    def _reveal(self) -> None:
        """Called when everything is written."""

    @abstractmethod
    def _give_up(self) -> None:
        """Remove what was put."""

    @abstractmethod
    def _unwritable(self, error: OSError) -> StoreError:
        """What to raise where the system says no."""

    def _is_to_be_kept(self, error: BaseException) -> bool:
        """Whether what was made stays after an error: nobody's fault is the loss of a cluster."""
        return isinstance(error, ClusterError) or not isinstance(error, Exception)

    def _take_up(self, journal: str, *, resume: bool) -> None:
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
            if earlier != json.loads(journal):
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
        write_atomically(path, journal.encode())

    def _acquire(self) -> None:
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # The system gives it back when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                raise StoreError(f"another conversion to {self._shown} is at work") from error
            raise
        self._lock = lock

    def _leave(self) -> None:
        """Let go of a folder that was not begun, and remove it if nothing else is in it: an earlier run's
        work, another's lock and what is somebody else's stay."""
        with suppress(OSError):
            if os.listdir(self.folder) == [_LOCK] * (self._lock is not None):
                shutil.rmtree(self.folder, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None = None, *_: object
    ) -> None:
        if self._lock is None:
            return
        if error is not None and not self._is_to_be_kept(error):
            self._give_up()
            shutil.rmtree(self.folder, ignore_errors=True)
        self._release()
        if isinstance(error, OSError) and not isinstance(error, PlenostreamError):
            raise self._unwritable(error) from error
