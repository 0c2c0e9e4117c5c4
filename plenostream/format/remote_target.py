"""Scenes that are written to other machines: object stores through obstore, all else through fsspec.

obstore tries puts again as it does reads. What the caller names is removed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from plenostream.files.paths import without_secrets
from plenostream.format.remote import FsspecSource, ObjectSource, folder_url
from plenostream.format.target import ByteTarget

__all__ = ["FsspecTarget", "ObjectTarget", "remote_target"]

_Answer = TypeVar("_Answer")

_IN_CHUNKS = "/c/"
"""What keys of chunks have in them."""
_REMOVED_AT_ONCE = 1000


def remote_target(url: str) -> ByteTarget:
    """The target for a URL of a folder, which need not be there.

    Raises
    ------
    InvalidInput : a URL that makes no sense, or whose library is not installed.
    """
    folder, of_objects = folder_url(url)
    return ObjectTarget(folder) if of_objects else FsspecTarget(folder)


class ObjectTarget(ObjectSource):
    """A folder of an object store. What `found` has, bytes by key, an earlier run has
    put."""

    puts_whole = True

    def __init__(self, url: str, found: Mapping[str, int] | None = None) -> None:
        super().__init__(url)
        self._found = found or {}

    def __reduce__(self) -> Any:
        return type(self), (self._url, self._found)

    def put(self, key: str, blob: bytes) -> None:
        """See `ByteTarget.put`. The same input makes the same chunks: one that is there stays."""
        if _IN_CHUNKS in key and self._found.get(key) == len(blob):
            return
        # In one piece, so that it is there whole or not at all.
        self._tell(key, lambda: self._obstore.put(self._store, key, blob, use_multipart=False))

    def take_up(self) -> None:
        """See `ByteTarget.take_up`."""
        self._found = dict(self.entries())

    def was_put(self, key: str) -> bool:
        """See `ByteTarget.was_put`."""
        return key in self._found

    def entries(self) -> Iterator[tuple[str, int]]:
        """See `ByteTarget.entries`; OSError of web servers, which have no list."""
        pages = iter(self._tell("", lambda: self._obstore.list(self._store)))
        while page := self._tell("", lambda: next(pages, None)):
            yield from ((entry["path"], int(entry["size"])) for entry in page if entry["path"])

    def remove(self, keys: Iterable[str]) -> None:
        """See `ByteTarget.remove`."""
        left = list(keys)
        while left:
            some, left = left[:_REMOVED_AT_ONCE], left[_REMOVED_AT_ONCE:]
            self._tell("", partial(self._obstore.delete, self._store, some))

    def flush(self, group: str) -> None:
        """What was put is kept."""

    def _tell(self, key: str, request: Callable[[], _Answer]) -> _Answer:
        return _written(self._url, key, lambda: self._ask(key, request))


class FsspecTarget(FsspecSource):
    """A folder of a file system that fsspec can write to."""

    puts_whole = False

    def __init__(self, url: str, found: Mapping[str, int] | None = None) -> None:
        super().__init__(url)
        self._found = found or {}

    def __reduce__(self) -> Any:
        return type(self), (self._url, self._found)

    def put(self, key: str, blob: bytes) -> None:
        """See `ByteTarget.put`."""
        path = self._path(key)

        def put() -> None:
            try:
                self._files.pipe_file(path, blob)
            except FileNotFoundError:
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(path, blob)

        self._tell(key, put)

    def take_up(self) -> None:
        """See `ByteTarget.take_up`."""
        self._found = dict(self.entries())

    def was_put(self, key: str) -> bool:
        """See `ByteTarget.was_put`."""
        return key in self._found

    def entries(self) -> Iterator[tuple[str, int]]:
        """See `ByteTarget.entries`."""
        root = self._root.strip("/")
        self._files.invalidate_cache()
        found: dict[str, Any] = self._tell("", partial(self._files.find, self._root, detail=True))
        for path, about in found.items():
            yield path.strip("/").removeprefix(root).lstrip("/"), int(about["size"])

    def remove(self, keys: Iterable[str]) -> None:
        """See `ByteTarget.remove`."""
        for key in keys:
            self._tell(key, partial(self._files.rm_file, self._path(key)))

    def flush(self, group: str) -> None:
        """What was put is kept, as far as fsspec says."""

    def _tell(self, key: str, request: Callable[[], _Answer]) -> _Answer:
        return _written(self._url, key, lambda: self._ask(key, request))


def _written(url: str, key: str, request: Callable[[], _Answer]) -> _Answer:
    """What a request to a target gives; that the place is not there is an error like all others."""
    try:
        return request()
    except KeyError:
        where = f"{without_secrets(url)}/{key}".rstrip("/")
        raise OSError(f"{where}: there is no such bucket, container or folder") from None
