"""Buffers that chunks are decoded into."""

from __future__ import annotations

from typing import Any

import pytest

from plenostream.stream.chunk_memory import ChunkMemory


def test_buffers_that_the_system_refuses_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(shape: Any, dtype: Any) -> None:
        raise MemoryError

    memory = ChunkMemory(buffer_bytes=8 << 20, n_buffers=3)
    buffer = memory.take()
    assert buffer is not None
    monkeypatch.setattr("plenostream.stream.chunk_memory.np.empty", refuse)
    assert memory.take() is None
    memory.give_back(buffer)
    assert memory.take() is buffer
    assert memory.allocated_bytes == 8 << 20
    with pytest.raises(MemoryError):
        ChunkMemory(buffer_bytes=64, n_buffers=3).take()
