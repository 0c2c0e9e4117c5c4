"""Checkpoints: opened, streamed, and converted where they are small."""

from __future__ import annotations

import io
import math
import random
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np

import plenostream as ps
from fuzzing.archives import mutate_archive, pack
from fuzzing.npy_headers import mutate_header
from fuzzing.target import Raw
from plenostream.format.verify import verify
from plenostream.importers.svox2.checkpoint import open_checkpoint

__all__ = ["CheckpointFiles"]

_NAMES = tuple(
    f"{key}.npy"
    for key in (
        *("links", "density_data", "sh_data", "data", "radius", "center", "basis_type"),
        *("background_links", "background_data", "basis_data", "child", "other", "../links"),
    )
)
_LARGEST_GRID = 1 << 15
"""Voxels of what is converted; larger ones are only streamed, so that a run sees many cases."""


class CheckpointFiles:
    """See `Target`: `open_checkpoint`, `MemberStream` and `convert`."""

    name = "checkpoint"

    def seeds(self) -> list[bytes]:
        rng = np.random.default_rng(5)
        links = np.full((4, 3, 5), -1, np.int32)
        links.reshape(-1)[::2] = np.arange(30)
        density = rng.normal(0, 4, (30, 1)).astype(np.float32)
        sh = rng.normal(0, 1, (30, 12)).astype(np.float16)
        common = {"radius": np.float32([1, 2, 1]), "center": np.zeros(3), "basis_type": np.int64(1)}
        usual = common | {"links": links, "density_data": density, "sh_data": sh}
        shuffled = usual | {"links": np.asfortranarray(np.where(links < 0, -7, 29 - links))}
        older = {
            "radius": np.float64(1.5),
            "links": links.astype(np.int64),
            "data": np.hstack([density, sh.astype(np.float32)]),
        }
        empty = usual | {"links": np.full((2, 2, 2), -1, np.int16)}
        return [
            _archive(usual),
            _archive(usual, zipfile.ZIP_DEFLATED),
            _archive(shuffled, zipfile.ZIP_LZMA),
            _archive(older, zipfile.ZIP_BZIP2),
            _archive(empty | {"density_data": density[:0], "sh_data": sh[:0]}),
        ]

    def mutate(self, case: bytes, rng: random.Random, raw: Raw) -> bytes:
        return mutate_archive(case, rng, raw, _NAMES, _change)

    def read(self, case: bytes, folder: Path) -> None:
        path, scene = folder / "case.npz", folder / "scene.zarr"
        path.write_bytes(case)
        checkpoint = open_checkpoint(path)
        for array in (checkpoint.links, *checkpoint.tables):
            with array.stream() as stream:
                stream.finish()
        if math.prod(checkpoint.grid.size) > _LARGEST_GRID:
            return
        try:
            ps.convert(path, scene, ps.ConvertOptions(brick_size=8, workers=1))
            report = verify(scene)
            assert report.ok, report.lines()
        finally:
            assert {p.name for p in folder.iterdir()} <= {path.name, scene.name}, "left behind"
            shutil.rmtree(scene, ignore_errors=True)


def _archive(arrays: dict[str, np.ndarray], method: int = zipfile.ZIP_STORED) -> bytes:
    members = []
    for key, array in arrays.items():
        content = io.BytesIO()
        np.save(content, array)
        members.append((f"{key}.npy", content.getvalue()))
    return pack(members, method)


def _change(data: bytes, rng: random.Random, raw: Raw) -> bytes:
    kind = rng.randrange(4)
    if kind == 0 or len(data) < 128:
        return mutate_header(data, rng, raw)
    start, width = min(128, len(data)), rng.choice((2, 4, 8))
    if kind == 1:
        return data[:start] + raw(data[start:])
    # Numbers that are at the edge of what their type holds, or beyond.
    content = bytearray(data)
    number = rng.choice(
        (
            struct.pack("<d", rng.choice((math.nan, math.inf, -1e300, 1e-310, 6e4))),
            struct.pack("<f", rng.choice((math.nan, math.inf, -3e38, 1e-40, 7e4))) * 2,
            struct.pack("<e", rng.choice((math.nan, math.inf, -65504.0, 6e-8))) * 4,
            struct.pack("<q", rng.choice((-1, 0, 29, 30, 2**31, 2**62, -(2**63)))),
            struct.pack("<i", rng.choice((-1, 0, 29, 30, 2**31 - 1, -(2**31)))) * 2,
        )
    )[:width]
    for _ in range(rng.choice((1, 1, 3))):
        at = start + rng.randrange(max(1, (len(content) - start) // width)) * width
        content[at : at + width] = number
    return bytes(content)
