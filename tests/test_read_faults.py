"""Whichever read of a frame fails, once: the same picture or the brick's name, and then the same picture.

The scene's bytes come through a source that lets the n-th read go wrong, for every n that a frame
has, from a cache so small that chunks are read more than once.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import plenostream as ps
from plenostream.format import layout, opening
from plenostream.format.remote import open_source
from plenostream.format.source import ByteSource
from plenostream.testing.checkpoints import gyroid_checkpoint
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.scenes import SMALL_CHUNKS, write_checkpoint_plain

VIEW = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), fov_degrees=45.0, size=(24, 16))
Fault = Callable[[str, bytes], bytes]


def missing(key: str, content: bytes) -> bytes:
    raise KeyError(key)


def refused(key: str, content: bytes) -> bytes:
    raise OSError(errno.EIO, "Input/output error", key)


def truncated(key: str, content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_bit(key: str, content: bytes) -> bytes:
    broken = bytearray(content)
    broken[len(broken) // 3] ^= 0x08
    return bytes(broken)


def delayed(key: str, content: bytes) -> bytes:
    time.sleep(0.02)
    return content


@dataclass
class Faulty:
    """A source whose n-th read (of one key, or of all), from when `arm` was called, goes through a
    fault; the others do not."""

    most_at_once, n_at_once, n_attempts = 0, 0, 1

    source: ByteSource
    keys_read: list[str] = field(default_factory=list)
    struck: str | None = None
    """What was read when the fault struck."""
    _fault: Fault | None = None
    _nth: int = -1
    _key: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, fault: Fault | None = None, nth: int = -1, key: str | None = None) -> None:
        with self._lock:
            self.keys_read.clear()
            self.struck = None
            self._fault, self._nth, self._key = fault, nth, key

    def read(self, key: str, *, at_most: int) -> bytes:
        content = self.source.read(key, at_most=at_most)
        with self._lock:
            self.keys_read.append(key)
            n_before = len(self.keys_read) - 1
            if self._key is not None:
                n_before = self.keys_read.count(key) - 1 if key == self._key else -1
            strikes = self._fault is not None and n_before == self._nth
            if strikes:
                self.struck = key
        return self._fault(key, content) if strikes and self._fault else content

    def size(self, key: str) -> int:
        return self.source.size(key)

    def forget(self, key: str) -> None:
        self.source.forget(key)

    def close(self) -> None:
        self.source.close()


@dataclass
class Streaming:
    """A scene whose reads may go wrong, and the smallest budgets for it."""

    scene: Path
    budgets: dict[str, int]
    whole: ps.RenderResult
    """The picture."""
    keys_read: list[str]
    """What is read for it, in order."""
    same_bits: float
    opened: Faulty | None = None

    def open_faulty(self, path: Path) -> Faulty:
        self.opened = Faulty(open_source(path))
        return self.opened


def smallest_budgets(scene: ps.Scene) -> dict[str, int]:
    """The least device and host memory that the picture can be drawn in."""
    budgets: dict[str, int] = {}
    for name in ("device_memory", "host_memory"):
        stream = ps.StreamOptions(n_threads=2, **{**budgets, name: 1})
        with ps.Renderer(scene, stream=stream) as renderer, pytest.raises(ps.BudgetError) as least:
            renderer.render(VIEW)
        budgets[name] = least.value.smallest_bytes
    return budgets


@contextmanager
def renderer_of(streaming: Streaming) -> Iterator[tuple[ps.Renderer, Faulty]]:
    """A renderer that holds no brick yet, and what it reads from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "open_source", streaming.open_faulty)
        opened = ps.open_scene(streaming.scene)
    assert streaming.opened is not None
    stream = ps.StreamOptions(n_threads=2, **streaming.budgets)
    with opened, ps.Renderer(opened, stream=stream) as renderer:
        streaming.opened.arm()
        yield renderer, streaming.opened


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory, same_bits: float) -> Iterator[Streaming]:
    with pytest.MonkeyPatch.context() as patch:
        for name, rows in SMALL_CHUNKS.items():
            patch.setattr(layout, name, 2 * rows)
        scene = tmp_path_factory.mktemp("faults") / "scene.zarr"
        write_checkpoint_plain(scene, gyroid_checkpoint(size=(24, 24, 24)), brick_size=8)
        with ps.open_scene(scene) as opened:
            budgets = smallest_budgets(opened)
        made = Streaming(scene, budgets, None, [], same_bits)  # type: ignore[arg-type]
        with renderer_of(made) as (renderer, source):
            made.whole = renderer.render(VIEW)
            made.keys_read = list(source.keys_read)
        yield made


def strike(streaming: Streaming, fault: Fault, nth: int, key: str | None = None) -> str | None:
    """Draw with one read failing, hold what comes to the rules, and draw again; the read that
    failed, None if the frame had no such read."""
    with renderer_of(streaming) as (renderer, source):
        source.arm(fault, nth, key)
        error = None
        try:
            picture = renderer.render(VIEW)
        except ps.BrickCorrupt as refusal:
            error = refusal
        struck = source.struck
        if error is None:
            assert_same_picture(picture, streaming.whole, at_most=streaming.same_bits)
        else:
            assert struck is not None
            assert fault is not delayed
            assert f"chunk {error.chunk} of {error.array} ({struck})" in str(error)
            assert f"brick {error.brick_id} at" in str(error)
        source.arm()
        assert_same_picture(renderer.render(VIEW), streaming.whole, at_most=streaming.same_bits)
    return struck


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("fault", [missing, delayed, refused, truncated, one_bit])
def test_read_that_fails_once_gives_the_same_picture_or_names_the_brick(
    streaming: Streaming, fault: Fault
) -> None:
    struck: list[str] = []
    nth = n_beyond = 0
    # Two threads share the cache, so one frame may read a chunk once more than another does: all
    # are tried when several frames in a row have ended before their n-th read.
    while n_beyond < 3:
        key = strike(streaming, fault, nth)
        n_beyond = 0 if key else n_beyond + 1
        struck += [key] if key else []
        nth += 1
    assert len(struck) > len(set(struck)) > 10, "chunks are read more than once"
    # Nor need the n-th read of every frame be the same one.
    for key in set(streaming.keys_read) - set(struck):
        assert strike(streaming, fault, 0, key) == key


@pytest.mark.slow
@pytest.mark.parametrize("fault", [missing, delayed])
def test_every_backend_goes_on_after_a_read_that_failed_or_came_late(
    streaming: Streaming, fault: Fault
) -> None:
    # What becomes of a read that failed, whichever it is, reaches a backend as one error.
    apart = len(streaming.keys_read) // 5
    for nth in range(0, 5 * apart, apart):
        assert strike(streaming, fault, nth) is not None


@pytest.mark.one_backend
@pytest.mark.parametrize("fault", [missing, refused, truncated, one_bit])
def test_read_that_fails_while_opening_is_named_or_changes_nothing(
    streaming: Streaming, fault: Fault
) -> None:
    def open_faulty(path: Path) -> Faulty:
        source = Faulty(open_source(path))
        source.arm(fault, nth)
        sources.append(source)
        return source

    sources: list[Faulty] = []
    n_reads, nth = 1, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "open_source", open_faulty)
        nth = -1
        with ps.open_scene(streaming.scene) as sound:
            n_reads, meta, tables = len(sources[-1].keys_read), sound.meta, sound.store.tables
        for nth in range(n_reads):
            said, opened = "", None
            try:
                opened = ps.open_scene(streaming.scene)
            except ps.StoreError as refusal:
                said = str(refusal)
            if opened is None:
                assert sources[-1].keys_read[nth] in said
                continue
            # A bit of a document may change nothing that is read.
            with opened:
                assert fault is one_bit
                assert sources[-1].keys_read[nth].endswith("zarr.json")
                assert opened.meta == meta
                assert (opened.store.tables.digest == tables.digest).all()
        nth = -1
        ps.open_scene(streaming.scene).close()
    assert n_reads > 20
