"""Where a scene's bytes go: a folder, behind one small interface with what other machines keep.

A target is a source too: coarser levels are made of what was put. Targets of other machines are in
`remote_target`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from plenostream.files.durable import flush_tree
from plenostream.format.source import ByteSource, FolderSource, SourceWithin

__all__ = ["ByteTarget", "FolderTarget", "Put", "TargetWithin", "put_at_once", "putting_bytes"]

Put = Callable[[str, bytes], None]
"""Writes all bytes of a key."""
_PUTS_AT_ONCE = 8
"""Chunks of 300 kB that one task has under way: 100 MB/s at 25 ms."""


class ByteTarget(ByteSource, Protocol):
    """Bytes by key that can be put, too. Targets go to other processes (pickle), and every method may
    be called by several threads at once, for different keys."""

    puts_whole: bool
    """Whether what is at a key is whole, however its writer ended."""

    def put(self, key: str, blob: bytes) -> None:
        """Write all bytes of `key`, and replace those that are there.

        Raises
        ------
        OSError : they cannot be written; names the place.
        """
        ...

    def take_up(self) -> None:
        """Go on with what an earlier run has put: find out what that is."""
        ...

    def was_put(self, key: str) -> bool:
        """Whether an earlier run, which was taken up, has put something at `key`."""
        ...

    def entries(self) -> Iterator[tuple[str, int]]:
        """All keys and their bytes, in no particular order."""
        ...

    def remove(self, keys: Iterable[str]) -> None:
        """Remove what is at these keys; OSError where that is not possible."""
        ...

    def flush(self, group: str) -> None:
        """Wait until what was put below a group outlives a power cut."""
        ...


class FolderTarget(FolderSource):
    """A folder on a local disk, made with the first key."""

    puts_whole = False

    def put(self, key: str, blob: bytes) -> None:
        """See `ByteTarget.put`."""
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob)

    def take_up(self) -> None:
        """The folder says it at any time."""

    def was_put(self, key: str) -> bool:
        """See `ByteTarget.was_put`."""
        return (self._root / key).is_file()

    def entries(self) -> Iterator[tuple[str, int]]:
        """See `ByteTarget.entries`."""
        for key in self.keys():
            yield key, (self._root / key).lstat().st_size

    def remove(self, keys: Iterable[str]) -> None:
        """See `ByteTarget.remove`."""
        for key in keys:
            (self._root / key).unlink()

    def flush(self, group: str) -> None:
        """See `ByteTarget.flush`."""
        if (self._root / group).is_dir():
            flush_tree(self._root / group)


class TargetWithin(SourceWithin):
    """What lies below a key of another target: a level of a scene in the making."""

    def __init__(self, target: ByteTarget, prefix: str) -> None:
        """Take a prefix that ends with a slash."""
        super().__init__(target, prefix)
        self._target = target
        self.puts_whole = target.puts_whole

    def put(self, key: str, blob: bytes) -> None:
        """See `ByteTarget.put`."""
        self._target.put(self._prefix + key, blob)

    def take_up(self) -> None:
        """See `ByteTarget.take_up`."""
        self._target.take_up()

    def was_put(self, key: str) -> bool:
        """See `ByteTarget.was_put`."""
        return self._target.was_put(self._prefix + key)

    def entries(self) -> Iterator[tuple[str, int]]:
        """See `ByteTarget.entries`."""
        inside = (entry for entry in self._target.entries() if entry[0].startswith(self._prefix))
        return ((key.removeprefix(self._prefix), size) for key, size in inside)

    def remove(self, keys: Iterable[str]) -> None:
        """See `ByteTarget.remove`."""
        self._target.remove(self._prefix + key for key in keys)

    def flush(self, group: str) -> None:
        """See `ByteTarget.flush`."""
        self._target.flush(self._prefix + group)


@contextmanager
def put_at_once(target: ByteTarget) -> Iterator[Put]:
    """`target.put`, which does not wait for the answer where there is one to wait for.

    A few are under way at once. What cannot be put is raised by a later call, or at the end of the
    context; when that ends well, all is there.
    """
    if not target.most_at_once:
        yield target.put
        return
    threads = ThreadPoolExecutor(_PUTS_AT_ONCE, thread_name_prefix="plenostream-put")
    under_way: deque[Future[None]] = deque()

    def put(key: str, blob: bytes) -> None:
        if len(under_way) == _PUTS_AT_ONCE:
            under_way.popleft().result()
        under_way.append(threads.submit(target.put, key, blob))

    try:
        yield put
        while under_way:
            under_way.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


def putting_bytes(target: ByteTarget, chunk_bytes: int) -> int:
    """Memory that `put_at_once` takes at most, for chunks of so many bytes: each once more on its way."""
    return 2 * (_PUTS_AT_ONCE + 1) * chunk_bytes if target.most_at_once else 0
