"""Converting a checkpoint, beside the least that any conversion has to do: load it, and write.

The least is `numpy.load` of all its arrays, and writing the scene's arrays, which are there
already, with Zarr and the same codecs, each in one go.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec

from plenostream.bench.apart import answer, ask, peak_resident_bytes, resident_bytes
from plenostream.bench.timing import Say, Timing
from plenostream.format.layout import array_specs, codec_metadata
from plenostream.format.reader import open_store
from plenostream.format.writer import fill_value
from plenostream.importers.svox2.convert import convert

__all__ = ["ConversionRun", "measure_conversion"]

_MODULE = "plenostream.bench.conversion"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRun:
    """Conversions of one checkpoint, each in a process of its own, files in the system's cache."""

    converting: Timing
    loading: Timing
    """`numpy.load` of all arrays of the checkpoint."""
    writing: Timing
    """Zarr, the arrays of the scene in one go each."""
    array_bytes: int
    """Of the checkpoint's arrays, in memory."""
    scene_bytes: int
    """Of the scene's files."""
    peak_resident_bytes: int
    """The largest size that a converting process had in memory."""
    resident_bytes: int
    """Its size before it began: interpreter and imports."""

    @property
    def least_s(self) -> float:
        """Median seconds of loading and writing together."""
        pairs = zip(self.loading.seconds, self.writing.seconds, strict=True)
        return float(np.median([load + write for load, write in pairs]))

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        times = {"converting": self.converting, "loading": self.loading, "writing": self.writing}
        names = ("array_bytes", "scene_bytes", "peak_resident_bytes", "resident_bytes", "least_s")
        return {
            **{name: timing.to_dict() for name, timing in times.items()},
            **{name: getattr(self, name) for name in names},
        }


def measure_conversion(
    checkpoint: Path, folder: Path, *, repeats: int, environment: Mapping[str, str], say: Say
) -> ConversionRun:
    """Convert `checkpoint` to scenes in `folder` (removed again), and do the least, in turns."""
    scene, copy = folder / "converted.zarr", folder / "written.zarr"
    request = {"checkpoint": str(checkpoint), "scene": str(scene), "copy": str(copy)}
    conversions, least = [], []
    try:
        for number in range(repeats):
            say(f"conversion: {number + 1} of {repeats}")
            _remove(scene, copy)
            conversions.append(
                ask(_MODULE, {**request, "task": "convert"}, environment=environment)
            )
            least.append(ask(_MODULE, {**request, "task": "least"}, environment=environment))
    finally:
        _remove(scene, copy)
    return ConversionRun(
        converting=Timing(seconds=tuple(found["seconds"] for found in conversions)),
        loading=Timing(seconds=tuple(found["loading"] for found in least)),
        writing=Timing(seconds=tuple(found["writing"] for found in least)),
        array_bytes=least[0]["array_bytes"],
        scene_bytes=conversions[0]["scene_bytes"],
        peak_resident_bytes=max(found["peak_resident_bytes"] for found in conversions),
        resident_bytes=conversions[0]["resident_bytes"],
    )


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(request: dict[str, Any]) -> dict[str, Any]:
    tasks = {"convert": _convert, "least": _do_the_least}
    return tasks[request["task"]](request)


def _convert(request: dict[str, Any]) -> dict[str, Any]:
    before = resident_bytes()
    report = convert(request["checkpoint"], request["scene"])
    return {
        "seconds": report.seconds,
        "scene_bytes": report.scene_bytes,
        "peak_resident_bytes": peak_resident_bytes(),
        "resident_bytes": before,
    }


def _do_the_least(request: dict[str, Any]) -> dict[str, Any]:
    with open_store(request["scene"]) as store:
        meta, codec = store.meta, store.codec
        arrays = {name: store.read_array(name) for name in store.specs}
    began = time.perf_counter()
    with np.load(request["checkpoint"]) as archive:
        loaded = {name: archive[name] for name in archive.files}
    loading = time.perf_counter() - began
    array_bytes = sum(array.nbytes for array in loaded.values())
    del loaded
    began = time.perf_counter()
    group = zarr.create_group(request["copy"], zarr_format=3)
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
    writing = time.perf_counter() - began
    return {"loading": loading, "writing": writing, "array_bytes": array_bytes}


if __name__ == "__main__":
    answer(_measure)
