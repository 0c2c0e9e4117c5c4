"""Scenes of other machines: object stores and web servers through obstore, all else through fsspec.

obstore keeps connections, waits for answers and tries again in threads of its own, without Python's
lock. Credentials come from the environment as each store's own tools take them (AWS_ACCESS_KEY_ID and
the like); no message repeats them, nor the part of a URL that may hold some.
"""

from __future__ import annotations

import os
import re
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from plenostream.errors import BrickCorrupt, InternalError, InvalidInput, StoreNotFound, printable
from plenostream.files.paths import PathLike, url_of, without_secrets
from plenostream.format.pace import MOST_AT_ONCE, Pace
from plenostream.format.remote_zip import RemoteZipSource
from plenostream.format.source import ByteSource, local_source

__all__ = ["FsspecSource", "ObjectSource", "folder_url", "open_source"]

_Answer = TypeVar("_Answer")

_OBJECT_STORES = ("s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "http", "https")
_ZIPPED = re.compile(
    r"zip::(?P<folder>(?P<scheme>[A-Za-z0-9]+)://[^?]+)/(?P<name>[^/?]+)(?P<query>[?].*)?"
)
"""The zip file of a folder's content, and nothing within it."""
_ATTEMPTS = 3
_RETRIES, _RETRY_S, _CONNECT_S, _READ_S = 4, 60, 10, 30
"""Tries of a request after the first, seconds for all of them, for a connection, and without a byte."""
_PAUSE_S = 0.2
"""Before a file is asked for again where the library does not do so itself."""
_BLOCK_BYTES = 64 << 10
"""What fsspec reads of a web server's file beyond what it is asked for: of a zip file that is all for
nothing, and fsspec's own 5 MB are as much as 17 chunks."""
_EXTRA = "pip install 'plenostream[remote]'"


def open_source(path: PathLike) -> ByteSource:
    """The source for a scene: a folder, a zip file of a folder's content, or a URL of one of them.

    Raises
    ------
    InvalidInput : no path, a URL that makes no sense, or whose library is not installed.
    StoreNotFound, StoreFormat : see `local_source`.
    """
    url = url_of(path) if isinstance(path, str | os.PathLike) else None
    if url is None:
        return local_source(path)
    if (zipped := _ZIPPED.fullmatch(url)) and zipped["scheme"].lower() in _OBJECT_STORES:
        within = ObjectSource(f"{zipped['folder']}{zipped['query'] or ''}")
        return RemoteZipSource(within, zipped["name"], where=_shown(url))
    folder, of_objects = folder_url(url)
    return ObjectSource(folder) if of_objects else FsspecSource(folder)


def folder_url(url: str) -> tuple[str, bool]:
    """A URL of a folder without the slash at its end, and whether it is of an object store."""
    scheme, _, place = url.partition("://")
    # Keys are put behind the folder, and before a query.
    folder = f"{scheme}://{re.sub(r'/+(?=[?]|$)', '', place, count=1)}"
    return folder, scheme.lower() in _OBJECT_STORES


class ObjectSource:
    """A folder of an object store or a web server, which need not list what it has."""

    most_at_once, n_attempts = MOST_AT_ONCE, _ATTEMPTS

    def __init__(self, url: str) -> None:
        try:
            import obstore
        except ModuleNotFoundError:
            raise InvalidInput(
                f"{_shown(url)} is read with obstore, which is not installed: {_EXTRA}"
            ) from None
        self._obstore: Any = obstore
        self._url = url
        self._pace = Pace()
        client: dict[str, Any] = {
            "connect_timeout": timedelta(seconds=_CONNECT_S),
            "read_timeout": timedelta(seconds=_READ_S),
            "timeout": timedelta(seconds=_RETRY_S),
            "allow_http": True,
        }
        retry: dict[str, Any] = {
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=_RETRY_S),
        }
        try:
            self._store = obstore.store.from_url(url, client_options=client, retry_config=retry)
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise InvalidInput(f"{_shown(url)} cannot be opened: {_cause(error)}") from error

    @property
    def n_at_once(self) -> int:
        """See `ByteSource`."""
        return self._pace.n_at_once

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        return self._ask(key, lambda: self._get(key, at_most))

    def _get(self, key: str, at_most: int) -> bytes:
        """All bytes of `key`, asked for again where the answer breaks off or has a wrong length: the
        library tries again what is not answered at all."""
        for left in reversed(range(_ATTEMPTS)):
            with self._pace.reading() as read:
                answer = self._obstore.get(self._store, key)
                self._pace.first_byte(read)
                size = int(answer.meta["size"])
                try:
                    blob = bytes(answer.bytes()) if size <= at_most else b""
                except self._obstore.exceptions.BaseError:
                    if not left:
                        raise
                    continue
                read.n_bytes = len(blob)
            if len(blob) == size <= at_most:
                return blob
        _refuse_long(size, at_most)
        raise BrickCorrupt(f"it has {size} bytes, and {len(blob)} came")

    def part(self, key: str, n_bytes: int, at: int) -> bytes:
        """See `PartSource.part`."""
        asked = {"range": (at, at + n_bytes)}

        def get() -> bytes:
            with self._pace.reading() as read:
                answer = self._obstore.get(self._store, key, options=asked)
                self._pace.first_byte(read)
                blob = bytes(answer.bytes())
                read.n_bytes = len(blob)
            return blob

        return self._ask(key, get)

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        return self._ask(key, lambda: int(self._obstore.head(self._store, key)["size"]))

    def forget(self, key: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Let go of the connections."""
        self._store = None

    def _ask(self, key: str, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except (FileNotFoundError, self._obstore.exceptions.NotFoundError):
            raise KeyError(key) from None
        except self._obstore.exceptions.BaseError as error:
            raise OSError(f"{_shown(self._url)}/{key}".rstrip("/") + f": {_cause(error)}") from None


class FsspecSource:
    """A folder of any file system that fsspec knows, chains of them too (``zip::https://...``)."""

    most_at_once, n_attempts = MOST_AT_ONCE, _ATTEMPTS

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ModuleNotFoundError:
            raise InvalidInput(
                f"{_shown(url)} is read with fsspec, which is not installed: {_EXTRA}"
            ) from None
        self._url = url
        self._pace = Pace()
        try:
            self._files, self._root = fsspec.core.url_to_fs(
                url, http={"block_size": _BLOCK_BYTES}, https={"block_size": _BLOCK_BYTES}
            )
        except FileNotFoundError:
            raise StoreNotFound(f"there is no scene at {_shown(url)}") from None
        except _errors_of_libraries() as error:
            raise InvalidInput(f"{_shown(url)} cannot be opened: {_cause(error)}") from error

    @property
    def n_at_once(self) -> int:
        """See `ByteSource`."""
        return self._pace.n_at_once

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if self._root else key

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        for left in reversed(range(_ATTEMPTS)):
            try:
                return self._get(key, at_most)
            except (OSError, BrickCorrupt):
                if not left:
                    raise
                time.sleep(_PAUSE_S)
        raise InternalError("a file is asked for no times")

    def _get(self, key: str, at_most: int) -> bytes:
        with self._pace.reading() as read:
            size = self.size(key)
            self._pace.first_byte(read)
            _refuse_long(size, at_most)
            blob = self._ask(key, lambda: bytes(self._files.cat_file(self._path(key), end=size)))
            read.n_bytes = len(blob)
        if len(blob) != size:
            raise BrickCorrupt(f"it has {size} bytes, and {len(blob)} came")
        return blob

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        size = self._ask(key, lambda: self._files.size(self._path(key)))
        if size is None:
            raise KeyError(key)
        return int(size)

    def forget(self, key: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """What fsspec keeps open it shares among all that use it."""

    def _ask(self, key: str, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except (FileNotFoundError, NotADirectoryError, KeyError):
            raise KeyError(key) from None
        except _errors_of_libraries() as error:
            raise OSError(f"{_shown(self._url)}/{key}".rstrip("/") + f": {_cause(error)}") from None


def _errors_of_libraries() -> tuple[type[Exception], ...]:
    """What comes out of fsspec: of each system's library, errors of the system for the most part."""
    web = sys.modules.get("aiohttp")
    own = (zipfile.BadZipFile, web.ClientError) if web else (zipfile.BadZipFile,)
    return (OSError, ValueError, ImportError, RuntimeError, *own)


def _refuse_long(size: int, at_most: int) -> None:
    if size > at_most:
        raise BrickCorrupt(f"it has {size} bytes, and {at_most} at most are possible")


def _shown(url: str) -> str:
    return printable(without_secrets(url))


def _cause(error: Exception) -> str:
    """What a library says, in a line, without what may be secret."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(without_secrets(lines[0].removeprefix("Generic ").strip()))[:300]
