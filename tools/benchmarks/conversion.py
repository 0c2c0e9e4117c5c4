"""Converting a checkpoint, beside the least that any conversion has to do: load it, and write.

The least is `numpy.load` of all its arrays, and writing the scene's arrays, which are there
already, with Zarr and the same codecs, each in one go.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec

import plenostream as ps
from benchmarks.apart import apart, peak_resident_bytes, resident_bytes
from benchmarks.table import Row, ratio, spread
from benchmarks.timing import Say, Timing
from plenostream.format.layout import array_specs, codec_metadata, fill_value
from plenostream.format.opening import open_store
from plenostream.rules.bytesize import format_bytes

__all__ = ["ConversionRun", "conversion_rows", "measure_conversion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRun:
    """Conversions of one checkpoint, each in a process of its own, files in the system's cache."""

    converting: Timing
    loading: Timing
    """`numpy.load` of all arrays of the checkpoint."""
    writing: Timing
    """Zarr, the arrays of the scene in one go each."""
    least: Timing
    """Loading and writing together."""
    array_bytes: int
    """Of the checkpoint's arrays, in memory."""
    scene_bytes: int
    """Of the scene's files."""
    peak_resident_bytes: int
    """The largest size that a converting process had in memory."""
    resident_bytes: int
    """Its size before it began: interpreter and imports."""


class _Converted(NamedTuple):
    seconds: float
    scene_bytes: int
    peak_resident_bytes: int
    resident_bytes: int


class _Least(NamedTuple):
    loading_s: float
    writing_s: float
    array_bytes: int


def measure_conversion(checkpoint: Path, folder: Path, *, repeats: int, say: Say) -> ConversionRun:
    """Convert `checkpoint` to scenes in `folder` (removed again), and do the least, in turns."""
    scene, copy = folder / "converted.zarr", folder / "written.zarr"
    conversions, least = [], []
    try:
        for number in range(repeats):
            say(f"conversion: {number + 1} of {repeats}")
            _remove(scene, copy)
            conversions.append(apart({}, _convert, checkpoint, scene))
            least.append(apart({}, _do_the_least, checkpoint, scene, copy))
    finally:
        _remove(scene, copy)
    seconds, scene_bytes, peaks, resident = zip(*conversions, strict=True)
    loading, writing, array_bytes = zip(*least, strict=True)
    both = tuple(load + write for load, write in zip(loading, writing, strict=True))
    return ConversionRun(
        converting=Timing(seconds=seconds),
        loading=Timing(seconds=loading),
        writing=Timing(seconds=writing),
        least=Timing(seconds=both),
        array_bytes=array_bytes[0],
        scene_bytes=scene_bytes[0],
        peak_resident_bytes=max(peaks),
        resident_bytes=resident[0],
    )


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _convert(checkpoint: Path, scene: Path) -> _Converted:
    before = resident_bytes()
    report = ps.convert(checkpoint, scene)
    return _Converted(report.seconds, report.scene_bytes, peak_resident_bytes(), before)


def _do_the_least(checkpoint: Path, scene: Path, copy: Path) -> _Least:
    with open_store(scene) as store:
        meta, codec = store.meta, store.codec
        arrays = {name: store.read_array(name) for name in store.specs}
    began = time.perf_counter()
    with np.load(checkpoint) as archive:
        loaded = {name: archive[name] for name in archive.files}
    loading = time.perf_counter() - began
    array_bytes = sum(array.nbytes for array in loaded.values())
    del loaded
    began = time.perf_counter()
    group = zarr.create_group(copy, zarr_format=3)
    for name, spec in array_specs(meta).items():
        array = group.create_array(
            name,
            shape=spec.shape,
            dtype=spec.dtype,
            chunks=spec.chunk_shape,
            fill_value=fill_value(spec),
            filters=None,
            serializer=BytesCodec(endian="little"),
            compressors=[BloscCodec.from_dict(codec_metadata(spec, codec=codec)[1]), Crc32cCodec()],
        )
        if arrays[name].size:
            array[...] = arrays[name]
    return _Least(loading, time.perf_counter() - began, array_bytes)


def conversion_rows(run: ConversionRun) -> Iterator[Row]:
    """The figures of a conversion."""
    section, seconds = "conversion", run.converting.median
    rate = format_bytes(round(run.array_bytes / seconds))
    growth = format_bytes(run.peak_resident_bytes - run.resident_bytes)
    peak = f"{format_bytes(run.peak_resident_bytes)}, {growth} by converting"
    yield Row(section, "converting", f"{spread(run.converting)}, {rate}/s")
    yield Row(section, "peak resident size", peak)
    yield Row(section, "numpy.load of all arrays", spread(run.loading))
    yield Row(section, "writing with Zarr in one go", spread(run.writing))
    yield Row(section, "converting / both of these", ratio(seconds, run.least.median))
