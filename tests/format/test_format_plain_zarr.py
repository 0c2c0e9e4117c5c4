"""A scene is standard Zarr: with zarr and numpy alone, its checkpoint can be read back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.scenes import write_checkpoint_plain

READER = """
import sys
import numpy as np
import zarr

scene, target = sys.argv[1:]
group = zarr.open_group(scene, mode="r")
about = group.attrs["plenostream"]
assert about["complete"] and about["format_version"] == 1
edge = about["brick_size"] + 1
index, row_start = group["bricks/index"][:], group["bricks/row_start"][:]
mask, rows_density, rows_sh = group["bricks/mask"][:], group["rows/density"][:], group["rows/sh"][:]

active = np.zeros(about["grid_size"], bool)
density = np.zeros(about["grid_size"], np.float32)
sh = np.zeros((*about["grid_size"], 3 * about["basis_dim"]), rows_sh.dtype)
for b, corner in enumerate(index * about["brick_size"]):
    bits = np.unpackbits(mask[b], bitorder="little", count=edge**3).reshape(edge, edge, edge)
    where = tuple((np.argwhere(bits) + corner).T)
    rows = slice(row_start[b], row_start[b + 1])
    active[where] = True
    density[where] = rows_density[rows]
    sh[where] = rows_sh[rows]
np.savez(target, active=active, density=density, sh=sh, radius=about["radius"], center=about["center"])
assert "plenostream" not in sys.modules
"""


def read_back(scene: Path, target: Path) -> dict[str, np.ndarray]:
    subprocess.run([sys.executable, "-c", READER, str(scene), str(target)], check=True)
    with np.load(target) as arrays:
        return dict(arrays)


def assert_same(found: dict[str, np.ndarray], checkpoint: CheckpointArrays) -> None:
    active = checkpoint.links >= 0
    rows = checkpoint.links[active]
    np.testing.assert_array_equal(found["active"], active)
    np.testing.assert_array_equal(found["density"][active], checkpoint.density[rows])
    np.testing.assert_array_equal(found["sh"][active], checkpoint.sh[rows], strict=True)
    np.testing.assert_array_equal(found["radius"], checkpoint.radius)
    np.testing.assert_array_equal(found["center"], checkpoint.center)


CHECKPOINT = random_checkpoint(
    6, size=(20, 17, 33), basis_dim=4, radius=(1.0, 0.5, 2.0), center=(0.25, 0.0, -1.0)
)


@pytest.mark.parametrize("brick_size", [8, 16, 32])
@pytest.mark.parametrize("sh_dtype", ["float16", "float32"])
def test_checkpoint_comes_back_from_the_plain_scene(
    tmp_path: Path, brick_size: int, sh_dtype: str
) -> None:
    checkpoint = random_checkpoint(6, size=(20, 17, 33), basis_dim=4, sh_dtype=sh_dtype)
    write_checkpoint_plain(tmp_path / "s.zarr", checkpoint, brick_size=brick_size)
    assert_same(read_back(tmp_path / "s.zarr", tmp_path / "back.npz"), checkpoint)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_checkpoint_comes_back_from_a_converted_scene(tmp_path: Path, codec: str) -> None:
    source = CHECKPOINT.save(tmp_path / "checkpoint.npz")
    convert(source, tmp_path / "s.zarr", ConvertOptions(codec=codec))
    assert_same(read_back(tmp_path / "s.zarr", tmp_path / "back.npz"), CHECKPOINT)
