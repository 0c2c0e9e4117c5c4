"""Copies all chunks of a scene as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plenostream.format.layout import ArraySpec
from plenostream.format.reader import SceneStore
from plenostream.format.writer import encode_chunk
from plenostream.results import Progress

__all__ = ["copied_chunks"]


def copied_chunks(
    store: SceneStore, target: Path, tell: Progress
) -> Iterator[tuple[ArraySpec, Any]]:
    """Write every chunk of a scene's level 0, checked, below `target`; what was written.

    Memory: a chunk, decoded and encoded.
    """
    total = sum(spec.n_chunks for spec in store.specs.values())
    done = 0
    for name, spec in store.specs.items():
        for chunk in range(spec.n_chunks):
            values = store.read_chunk(name, chunk)
            path = target / spec.chunk_key(chunk)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_chunk(spec, values, codec=store.codec))
            yield spec, values
            done += 1
            tell("copy", done, total)
