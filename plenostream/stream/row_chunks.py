"""The chunks of both arrays of rows, in one numbering: those of densities, then those of coefficients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plenostream.format.layout import ROW_ARRAYS
from plenostream.format.reader import SceneStore
from plenostream.format.spans import Spans, row_runs, split_by_chunk, touched_chunks

__all__ = ["RowChunks"]


class RowChunks:
    """Which chunks the bricks of a scene have rows in."""

    def __init__(self, store: SceneStore) -> None:
        specs = [store.specs[name] for name in ROW_ARRAYS]
        self._tables = store.tables
        self._rows = np.array([spec.chunk_shape[0] for spec in specs])
        ends = np.cumsum([spec.n_chunks for spec in specs])
        self._begins = ends[:-1].tolist()
        self._first = np.array([0, *self._begins])
        self.n = int(ends[-1])
        """Chunks of both arrays."""

    def place(self, chunk: int) -> tuple[str, int]:
        """The array of a chunk, and its number there."""
        array = sum(chunk >= first for first in self._begins)
        return ROW_ARRAYS[array], chunk - (self._begins[array - 1] if array else 0)

    def needed(self, bricks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The chunks of bricks [k], each once, in the order in which these need them [c], and how many of
        the bricks need each [c]."""
        chunk, place, times = self._first_met(bricks)
        order = np.argsort(place, kind="stable")
        return chunk[order], times[order]

    def n_up_to(self, bricks: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many chunks the bricks [k] up to each, and that one, need together [k]."""
        _, place, _ = self._first_met(bricks)
        n_new = np.bincount(place, minlength=len(bricks))
        return np.cumsum(n_new)

    def latest(self, bricks: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of the times of all chunks, the latest of the chunks of each of the bricks [k]."""
        latest = np.zeros(len(bricks), np.int64)
        place, chunk = self._touched(bricks)
        np.maximum.at(latest, place, times[chunk])
        return latest

    def only_of(self, bricks: NDArray[np.int64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The chunks of bricks [k] that none has rows in but bricks `among` all of the scene."""
        chunk, _ = self.needed(bricks)
        array = self._array_of(chunk)
        low = (chunk - self._first[array]) * self._rows[array]
        first_row, count = self._tables.rows_of(np.arange(len(among)))
        first = np.searchsorted(first_row + count, low, "right")
        stop = np.searchsorted(first_row, low + self._rows[array], "left")
        others = np.concatenate([[0], np.cumsum(~among)])
        only: NDArray[np.int64] = chunk[others[first] == others[stop]]
        return only

    def spans(self, bricks: NDArray[np.int64]) -> dict[str, Spans]:
        """Where in the chunks of each array the rows of bricks [k] lie."""
        runs = row_runs(*self._tables.rows_of(bricks))
        spans = {}
        for name, first, rows in zip(ROW_ARRAYS, self._first, self._rows, strict=True):
            some = split_by_chunk(*runs, int(rows))
            spans[name] = replace(some, chunk=some.chunk + first)
        return spans

    def are_of(self, name: str, chunks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the chunks [c] are chunks of an array."""
        are: NDArray[np.bool_] = self._array_of(chunks) == ROW_ARRAYS.index(name)
        return are

    def row_start(self, bricks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the rows of each of the bricks [k] begin and end that lie one after another [k + 1]."""
        return np.concatenate([[0], np.cumsum(self._tables.rows_of(bricks)[1])])

    def _array_of(self, chunks: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._first, chunks, "right") - 1

    def _touched(self, bricks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The place in `bricks` of each [t], with each of its chunks [t]; rising in each array."""
        rows = self._tables.rows_of(bricks)
        places, chunks = [], []
        for first, chunk_rows in zip(self._first, self._rows, strict=True):
            place, chunk = touched_chunks(*rows, chunk_rows)
            places.append(place)
            chunks.append(chunk + first)
        return np.concatenate(places), np.concatenate(chunks)

    def _first_met(
        self, bricks: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Chunks [c], rising, the place of the first of the bricks that needs each, and how many do."""
        place, chunk = self._touched(bricks)
        each, at, times = np.unique(chunk, return_index=True, return_counts=True)
        return each, place[at], times
