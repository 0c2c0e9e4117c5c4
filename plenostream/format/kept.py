"""Bytes of other machines kept in a folder of bounded size, which several programs may share.

A file holds the bytes of one key and behind them their digest, under a name made of the scene's
checksum and the key: scenes that are equal share it wherever they come from, and one that was replaced
finds nothing of the old. A file appears whole, by renaming; one that is gone or damaged is fetched
again. Where there are more bytes than allowed, those that were used longest ago go.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import xxhash

from plenostream.errors import OutputError, printable
from plenostream.files.paths import PathLike, local_path
from plenostream.format.source import ByteSource
from plenostream.process.leftovers import temporary_file

__all__ = ["KeptSource", "kept_around", "kept_in"]

_log = logging.getLogger(__name__)

_ENDING = ".kept"
_DIGEST_BYTES = 8
_WRITTEN_S = 3600
"""Seconds after which a file that is being written has been given up."""
_LEFT_OVER = 0.9
"""Share of the allowed bytes that stays when room is made."""
_UNCOUNTED = 0.05
"""Share of the allowed bytes that a program keeps until it looks at what others have kept meanwhile."""
_KEPT: ContextVar[tuple[PathLike, int] | None] = ContextVar("kept", default=None)
"""Folder and bytes of the `kept_in` around."""


@contextlib.contextmanager
def kept_in(cache: PathLike, *, cache_bytes: int) -> Iterator[None]:
    """A `with` in which what scenes of other machines give is kept in a folder, see `KeptSource`; for
    functions that open scenes themselves, in the thread that called them."""
    before = _KEPT.set((cache, cache_bytes))
    try:
        yield
    finally:
        _KEPT.reset(before)


def kept_around() -> tuple[PathLike, int] | None:
    """Folder and bytes that the `kept_in` around says, None where there is none."""
    return _KEPT.get()


class KeptSource:
    """A source whose bytes are kept in `folder`, of at most `allowed_bytes`.

    Raises
    ------
    InvalidInput : `folder` is no path. OutputError : it cannot be made.
    """

    def __init__(
        self, source: ByteSource, folder: PathLike, *, allowed_bytes: int, scene: str
    ) -> None:
        """Take what tells the `scene` from all others: its checksum."""
        self.most_at_once, self.n_attempts = source.most_at_once, source.n_attempts
        self._source = source
        self._root = local_path(folder, what="cache")
        self._allowed_bytes = allowed_bytes
        self._scene = scene
        self._lock = threading.Lock()
        self._complained = False
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the cache {printable(str(self._root))} cannot be made: {error.strerror}"
            ) from error
        self._remove_left_over()
        self._make_room()

    @property
    def n_at_once(self) -> int:
        """See `ByteSource`."""
        return self._source.n_at_once

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        path = self._path(key)
        blob = _checked(path, at_most)
        if blob is None:
            blob = self._source.read(key, at_most=at_most)
            self._keep(path, blob)
        return blob

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        try:
            return self._path(key).stat().st_size - _DIGEST_BYTES
        except OSError:
            return self._source.size(key)

    def forget(self, key: str) -> None:
        """See `ByteSource.forget`."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()
        self._source.forget(key)

    def close(self) -> None:
        """Close the source; what is kept stays."""
        self._source.close()

    def _path(self, key: str) -> Path:
        name = xxhash.xxh3_128_hexdigest(f"{self._scene}/{key}".encode())
        return self._root / name[:2] / f"{name}{_ENDING}"

    def _keep(self, path: Path, blob: bytes) -> None:
        aside = path.with_name(f".{secrets.token_hex(6)}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            with temporary_file(aside):
                try:
                    aside.write_bytes(blob + xxhash.xxh3_64_digest(blob))
                    os.replace(aside, path)
                finally:
                    aside.unlink(missing_ok=True)
        except OSError as error:
            # The picture does not depend on it: it is said once, and all is fetched again.
            if not self._complained:
                self._complained = True
                where = printable(str(self._root))
                _log.warning("nothing more is kept in the cache %s: %s", where, error.strerror)
            return
        with self._lock:
            self._held += len(blob) + _DIGEST_BYTES
            uncounted = self._held - self._counted
            if self._held > self._allowed_bytes or uncounted > _UNCOUNTED * self._allowed_bytes:
                self._make_room()

    def _make_room(self) -> None:
        """Count what there is, since others keep and remove files too; remove what is too much."""
        files = sorted(self._files())
        self._held = self._counted = sum(size for _, size, _ in files)
        if self._held <= self._allowed_bytes:
            return
        for _, size, path in files:
            if self._held <= _LEFT_OVER * self._allowed_bytes:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            self._held -= size
        self._counted = self._held

    def _remove_left_over(self) -> None:
        """Remove what programs were killed over: nothing takes so long to be written."""
        for path in self._root.glob("??/.*.part"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _WRITTEN_S:
                    path.unlink()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each file was last used, its bytes, and where it is."""
        for path in self._root.glob(f"??/*{_ENDING}"):
            with contextlib.suppress(OSError):  # another program removed it
                status = path.stat()
                yield status.st_mtime, status.st_size, path


def _checked(path: Path, at_most: int) -> bytes | None:
    """The bytes of a kept file; None where there is none, or not what was kept there."""
    try:
        with path.open("rb") as file:
            packed = file.read(at_most + _DIGEST_BYTES + 1)
            with contextlib.suppress(OSError):  # a folder that others fill, and that is read alone
                os.utime(file.fileno())
    except OSError:
        return None
    blob = packed[:-_DIGEST_BYTES]
    whole = len(packed) <= at_most + _DIGEST_BYTES and len(packed) >= _DIGEST_BYTES
    return blob if whole and packed[-_DIGEST_BYTES:] == xxhash.xxh3_64_digest(blob) else None
