"""Read the chunks of a scene that is open, from a folder, a zip file or another machine.

`SceneStore.read_chunk` fetches a chunk's bytes and decodes them (`codecs`). The tables in ``bricks/``
are read and checked when the scene opens (`opening`); of scenes with `table_sections` only those that say
where bricks are: the others are read whole when they are first asked for (`SceneStore.tables`), or for
some bricks (`excerpts`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt, InternalError, StoreError
from plenostream.format.asking import EachOf, asked_at_once
from plenostream.format.codecs import DecodeError
from plenostream.format.layout import ArraySpec, SceneMeta, array_specs
from plenostream.format.source import ByteSource
from plenostream.format.stored import as_converted
from plenostream.format.table_sections import PLACES
from plenostream.format.tables import (
    BrickPlaces,
    BrickTables,
    content_faults,
    place_faults,
    structure_faults,
)
from plenostream.process.closing import Closing
from plenostream.process.turns import Turns

__all__ = ["SceneStore"]

_MOST_ABSENT = 64 << 20
"""Bytes of a table that may be left out since they are its fill value. Zarr leaves out such chunks
when it copies an array; a table that claims more is not believed."""
_LEAST_ABSENT = 4096
"""Bytes that an absent chunk counts for, however small it is: asking for it takes time too."""


class SceneStore(Closing):
    """An open scene. Reading is safe from several threads at once; a context manager.

    Attributes
    ----------
    path : str                          where the scene is
    meta : SceneMeta                    what it says about itself
    specs : dict of ArraySpec by name   its arrays
    places : BrickPlaces                where all bricks are
    source : ByteSource                 its bytes
    arrays : dict of StoredArray by name
        how they are stored: as the converter does until their documents say otherwise
    """

    places: BrickPlaces

    def __init__(
        self,
        *,
        path: str,
        source: ByteSource,
        meta: SceneMeta,
        level_of: SceneStore | None = None,
    ) -> None:
        """`level_of`: the scene that a coarser level belongs to. Neither documents nor tables are read
        (see `opening`)."""
        self.path = path
        self.meta = meta
        self.specs = array_specs(meta)
        self.arrays = {name: as_converted(spec) for name, spec in self.specs.items()}
        self.source = source
        self._level_of = level_of
        self._absent: list[tuple[ArraySpec, int]] = []
        self._tables: BrickTables | None = None
        self._reading_tables = threading.Lock()
        self._whole: SceneStore | None = None
        self._uses = Turns(
            "this scene",
            closed=lambda: StoreError(f"{path}: this scene is closed; open it again to read it"),
            one_at_a_time=False,
        )

    def close(self) -> None:
        """Give back the files, when nobody is in the middle of `in_use`; tables stay readable.

        Raises
        ------
        InvalidInput : called in the middle of a picture, by the thread that draws it.
        """
        self._uses.close(self.source.close)

    def in_use(self) -> AbstractContextManager[None]:
        """A `with` in which the scene stays open: `close` waits for the end of it.

        Raises
        ------
        StoreError : the scene is closed.
        """
        return self._uses.turn()

    @property
    def root(self) -> SceneStore:
        """The scene that it is a level of: itself, but for coarser levels."""
        return self._level_of or self

    @property
    def tables(self) -> BrickTables:
        """What is known about every brick; where they were not read yet, they are read and checked.

        Raises
        ------
        BrickCorrupt, StoreError : as for `open_store`.
        """
        with self._reading_tables:
            if self._tables is None:
                with asked_at_once(self.source.n_at_once) as each:
                    self.read_tables(each)
                self.check_tables()
            assert self._tables is not None
            return self._tables

    @property
    def has_sections(self) -> bool:
        """Whether it has so many bricks that those which are drawn are better read by themselves."""
        return self.meta.table_sections is not None and self._whole is None

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables in memory: of a level, those of its scene, too, and of an excerpt, those of
        the scene or level that it is taken from."""
        whole = self._whole or self._level_of
        mine = self.places if self._tables is None else self._tables
        return mine.nbytes + (whole.table_bytes if whole is not None else 0)

    @property
    def codec(self) -> str:
        """Compressor to write rows like these with: "lz4" where they have it, else "zstd"."""
        return "lz4" if self.arrays["rows/sh"].chain.label == "lz4" else "zstd"

    def stored_bytes(self, name: str) -> int:
        """Bytes that an array takes where it is stored; BrickCorrupt when a chunk is not there."""
        with asked_at_once(self.source.n_at_once) as each:
            chunks = range(self.specs[name].n_chunks)
            return sum(each(lambda chunk: self.chunk_stored_bytes(name, chunk), chunks))

    def chunk_stored_bytes(self, name: str, chunk: int) -> int:
        """Bytes of the stored chunks that begin in a chunk of rows; BrickCorrupt when one of those
        that it needs is not there, StoreError after `close`."""
        self._uses.refuse_closed()
        spec, array = self.specs[name], self.arrays[name]
        first, total = chunk * spec.chunk_shape[0], 0
        for place in array.places(chunk):
            try:
                size = self.source.size(array.key(place))
            except (KeyError, OSError, BrickCorrupt) as error:
                if isinstance(error, KeyError) and self._may_be_absent(spec, chunk):
                    continue
                raise self._unreadable(spec, chunk, array.key(place), error) from error
            # One that began before was counted there.
            total += size if place[0] * array.chain.shape[0] >= first else 0
        return total

    def fetch_chunk(self, name: str, chunk: int) -> Sequence[bytes | None]:
        """The bytes of the stored chunks that hold a chunk of rows, one but for copies that are cut
        in another way; not looked at yet. None: not stored, and so the fill value.

        Raises
        ------
        BrickCorrupt : they cannot be read, or are missing where nothing may be.
        StoreError : the scene is closed.
        """
        self._uses.refuse_closed()
        spec, array = self.specs[name], self.arrays[name]
        stored: list[bytes | None] = []
        for place in array.places(chunk):
            key = array.key(place)
            try:
                stored.append(self.source.read(key, at_most=array.chain.stored_limit))
            except (KeyError, OSError, StoreError) as error:
                if not isinstance(error, KeyError) or not self._may_be_absent(spec, chunk):
                    raise self._unreadable(spec, chunk, key, error) from error
                stored.append(None)
        return stored

    def decode_chunk(
        self,
        name: str,
        chunk: int,
        stored: Sequence[bytes | None],
        *,
        into: NDArray[np.uint8] | None = None,
    ) -> NDArray[Any]:
        """The values of a chunk of rows from `fetch_chunk`, trimmed to the array's length.

        With `into` (at least `ArraySpec.chunk_bytes`) they lie in that memory.

        Raises
        ------
        BrickCorrupt : wrong checksum or size, not decodable, or values that are not finite.
        """
        spec = self.specs[name]
        memory = np.empty(spec.chunk_bytes, np.uint8) if into is None else into[: spec.chunk_bytes]
        try:
            values = self.arrays[name].decode(chunk, stored, memory)
        except DecodeError as error:
            raise self._damaged(spec, chunk, str(error)) from error
        if not _all_finite(values):
            raise self._damaged(spec, chunk, "it holds values that are not finite")
        return values

    def read_chunk(self, name: str, chunk: int) -> NDArray[Any]:
        """The values of a whole chunk, trimmed to the array's length.

        Raises
        ------
        BrickCorrupt : the chunk is missing, short, damaged, or holds what was never written.
        StoreError : the scene is closed.
        """
        return self.fetch_and_decode(name, chunk)[0]

    def fetch_and_decode(
        self,
        name: str,
        chunk: int,
        *,
        into: NDArray[np.uint8] | None = None,
        fetched: Sequence[bytes | None] | None = None,
    ) -> tuple[NDArray[Any], int]:
        """The values of a chunk of rows and the stored bytes that they came in; `into` as in
        `decode_chunk`, `fetched` what has come already.

        What is damaged is fetched again, as often as the source is worth it (`n_attempts`).

        Raises
        ------
        BrickCorrupt, StoreError : as `fetch_chunk` and `decode_chunk`.
        """
        for left in reversed(range(self.source.n_attempts)):
            stored = self.fetch_chunk(name, chunk) if fetched is None else fetched
            try:
                values = self.decode_chunk(name, chunk, stored, into=into)
            except BrickCorrupt:
                self.forget_chunk(name, chunk)
                if not left:
                    raise
                fetched = None
            else:
                return values, sum(len(blob or b"") for blob in stored)
        raise InternalError("a source is read no times")

    def forget_chunk(self, name: str, chunk: int) -> None:
        """Have a chunk that is not what was written come from afar the next time, see `ByteSource`."""
        for place in self.arrays[name].places(chunk):
            self.source.forget(self.arrays[name].key(place))

    def forget_tables(self) -> None:
        """`forget_chunk` for all tables: one of them is not what was written."""
        for name in filter(_is_table, self.specs):
            for chunk in range(self.specs[name].n_chunks):
                self.forget_chunk(name, chunk)

    def read_array(self, name: str) -> NDArray[Any]:
        """A whole array, as `read_arrays`."""
        with asked_at_once(self.source.n_at_once) as each:
            return self.read_arrays([name], each)[name]

    def read_arrays(self, names: Sequence[str], each: EachOf) -> dict[str, NDArray[Any]]:
        """Whole arrays, whose chunks `each` fetches (`asked_at_once`); nothing is allocated for an array
        before all of its chunks have come."""
        wanted = ((name, chunk) for name in names for chunk in range(self.specs[name].n_chunks))
        fetched = each(lambda place: self.fetch_chunk(*place), wanted)
        arrays = {}
        for name in names:
            spec = self.specs[name]
            stored = list(islice(fetched, spec.n_chunks))
            values = arrays[name] = np.empty(spec.shape, spec.dtype)
            for chunk, blobs in enumerate(stored):
                first = chunk * spec.chunk_shape[0]
                part, _ = self.fetch_and_decode(name, chunk, fetched=blobs)
                values[first : first + spec.chunk_shape[0]] = part
        return arrays

    def read_tables(self, each: EachOf) -> None:
        """Read `tables`, which are not looked at; `each` as in `read_arrays`."""
        names = list(filter(_is_table, self.specs))
        arrays = self.read_arrays(names, each)
        self._tables = BrickTables.from_arrays(arrays)
        self.places = BrickPlaces.from_arrays(arrays)

    def check_tables(self) -> None:
        """Raise BrickCorrupt where the tables that were read are not those of this scene."""
        assert self._tables is not None
        faults = structure_faults(self.meta, self._tables)
        faults = faults or content_faults(self.meta, self._tables)
        if faults:
            self._tables = None
            self.refuse(faults)

    def read_places(self, each: EachOf) -> None:
        """Read and check `places`; `each` as in `read_arrays`. Raises BrickCorrupt."""
        self.places = BrickPlaces.from_arrays(self.read_arrays(PLACES, each))
        if faults := place_faults(self.meta, self.places):
            self.refuse(faults)

    def holding(self, tables: BrickTables) -> SceneStore:
        """The same scene or level with the tables of some of its bricks: its `places` are those of all."""
        store = SceneStore(
            path=self.path, source=self.source, meta=self.meta, level_of=self._level_of
        )
        store.arrays, store.places = self.arrays, self.places
        store._uses, store._whole, store._tables = self._uses, self, tables
        return store

    def refuse(self, faults: list[str]) -> NoReturn:
        """Raise BrickCorrupt for what is wrong with the tables, or with a chunk of them that is not there."""
        self.refuse_absent()
        self.forget_tables()
        raise BrickCorrupt(f"{self.path}: {faults[0]}", array=faults[0].split()[0])

    def refuse_absent(self) -> None:
        """Raise (BrickCorrupt) for the first chunk that was taken for its fill value, if any was:
        to be called when the tables turn out not to be those that were written."""
        for spec, chunk in self._absent[:1]:
            raise self._damaged(spec, chunk, "it is missing")

    def _may_be_absent(self, spec: ArraySpec, chunk: int) -> bool:
        """Whether a chunk that is not stored may stand for its fill value; it is remembered.

        Rows are never left out. The tables are held against their digests when they are read.
        """
        if not _is_table(spec.name):
            return False
        array = self.arrays[spec.name]
        if len(self._absent) * max(array.chain.n_bytes, _LEAST_ABSENT) >= _MOST_ABSENT:
            self.refuse_absent()
        self._absent.append((spec, chunk))
        return True

    def _unreadable(self, spec: ArraySpec, chunk: int, key: str, error: Exception) -> BrickCorrupt:
        what = "it is missing" if isinstance(error, KeyError) else f"it cannot be read: {error}"
        return self._damaged(spec, chunk, what, key=key)

    def _damaged(
        self, spec: ArraySpec, chunk: int, what: str, *, key: str | None = None
    ) -> BrickCorrupt:
        array = self.arrays[spec.name]
        return BrickCorrupt(
            f"{self.path}: chunk {chunk} of {spec.name} "
            f"({key or array.key(next(array.places(chunk)))}) is damaged: {what}. Convert the "
            "checkpoint again, or copy the scene again from where it is whole.",
            array=spec.name,
            chunk=chunk,
        )


def _is_table(name: str) -> bool:
    return name.startswith("bricks/")


def _all_finite(values: NDArray[Any]) -> bool:
    if values.dtype != np.float16:
        return values.dtype.kind != "f" or bool(np.isfinite(values).all())
    # isfinite converts float16 one by one: 320 us a chunk against 10 for the bits, which rise with the size of
    # numbers of either sign: the largest of all is of those above 0, or without a sign of those below.
    largest = (values.view(kind).max(initial=0) for kind in (np.int16, np.uint16))
    return all(bits < limit for bits, limit in zip(largest, (0x7C00, 0xFC00), strict=True))
