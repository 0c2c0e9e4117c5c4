"""Copies all chunks of a scene as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plenostream.format.layout import ArraySpec
from plenostream.format.reader import SceneStore
from plenostream.format.target import ByteTarget, put_at_once
from plenostream.format.writer import encode_chunk
from plenostream.results import Progress

__all__ = ["copied_chunks"]


def copied_chunks(
    store: SceneStore, target: ByteTarget, tell: Progress
) -> Iterator[tuple[ArraySpec, Any]]:
    """Put every chunk of a scene's level 0, checked, into `target`; what was put.

    Memory: a chunk, decoded and encoded.
    """
    total = sum(spec.n_chunks for spec in store.specs.values())
    done = 0
    with put_at_once(target) as put:
        for name, spec in store.specs.items():
            for chunk in range(spec.n_chunks):
                values = store.read_chunk(name, chunk)
                put(spec.chunk_key(chunk), encode_chunk(spec, values, codec=store.codec))
                yield spec, values
                done += 1
                tell("copy", done, total)
