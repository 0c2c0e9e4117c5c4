"""Writing keeps within its memory: 2048^3 voxels from a function, dense ones, and arrays on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

import plenostream as ps
from plenostream.testing.closed_forms import composite
from plenostream.testing.pictures import open_renderer

PROGRAM = """
import json, resource, sys
import dask.threaded
import numpy as np
import zarr
from plenostream.field.grid import GridSpec
from plenostream.importers.arrays.write import write_scene
from plenostream.options import ConvertOptions

def block(lower, upper):
    # Density 5 in voxels 900 to 1099 of each axis; only boxes that meet it are answered.
    if max(lower) > 1101 or min(upper) <= 898:
        return None
    inside = [(np.arange(a, b) >= 900) & (np.arange(a, b) < 1100) for a, b in zip(lower, upper)]
    density = 5.0 * (inside[0][:, None, None] & inside[1][:, None] & inside[2])
    colour = np.array([0.75, 0.5, 0.25], np.float32)
    return density, np.broadcast_to(colour, (*density.shape, 3))

def dense(lower, upper):
    shape = tuple(b - a for a, b in zip(lower, upper))
    return np.ones(shape), np.full((*shape, 27), 0.125)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

name, target, memory, size = sys.argv[1:]
if name in ("block", "dense"):
    source = {"block": block, "dense": dense}[name]
else:
    source = zarr.open_array(name + "/density"), zarr.open_array(name + "/colours")
before = peak()
report = write_scene(target, GridSpec(size=(int(size),) * 3), source,
                     ConvertOptions(host_memory=memory, workers=2),
                     basis_dim=9 if name == "dense" else None)
print(json.dumps([peak() - before, report.planned_bytes]))
"""


def measure(source: str | Path, target: Path, memory: str, size: int) -> tuple[int, int]:
    """Growth of the peak resident size, and what was planned (bytes)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(source), target, memory, str(size)],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, planned = json.loads(done.stdout)
    return grown, planned


@pytest.mark.slow
def test_grid_of_2048_from_a_function_that_is_mostly_empty(tmp_path: Path) -> None:
    grown, planned = measure("block", tmp_path / "s", "900MB", 2048)
    assert grown <= planned <= 900_000_000
    with ps.open_scene(tmp_path / "s") as scene:
        assert scene.meta.n_voxels == 202**3
    # Along the line of voxels (x, 1000, 1000), from outside: entry at -0.5, half a voxel a step.
    spot = (1000 + 0.5) / 1024 - 1
    colour = np.array([0.75, 0.5, 0.25])
    samples = []
    for k in range(1797, 2203):
        share = float(np.clip(min(0.5 * k - 0.5 - 899, 1100 - (0.5 * k - 0.5)), 0.0, 1.0))
        samples.append((1024 + 0.5 * k, 5.0 * share, tuple(colour.tolist())))
    known = composite(samples, background=1.0, step=0.5, world_per_t=1 / 1024)
    with open_renderer(
        tmp_path / "s", precision="float32", device_memory="256MB", host_memory="400MB"
    ) as renderer:
        seen = renderer.render_rays([[-2.0, spot, spot]], [[1.0, 0.0, 0.0]])
    assert seen.rgb[0] == pytest.approx(known.rgb, abs=1e-4)
    assert seen.alpha[0] == pytest.approx(1.0 - known.trans, abs=1e-4)
    assert 0.3 < seen.alpha[0] < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["250MB", "600MB"])
def test_dense_voxels_obey_their_bound(tmp_path: Path, memory: str) -> None:
    grown, planned = measure("dense", tmp_path / "s", memory, 130)
    assert grown <= planned <= int(memory[:-2]) * 1_000_000


@pytest.mark.slow
def test_arrays_on_disk_obey_their_bound(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "source")
    rng = np.random.default_rng(1)
    density = group.create_array(
        "density", shape=(200, 200, 200), chunks=(64, 64, 64), dtype="float32"
    )
    density[...] = np.where(rng.random((200, 200, 200)) < 0.01, 3.0, 0.0)
    colours = group.create_array(
        "colours", shape=(200, 200, 200, 3), chunks=(64, 64, 64, 3), dtype="float32"
    )
    colours[...] = 0.5
    grown, planned = measure(tmp_path / "source", tmp_path / "s", "300MB", 200)
    assert grown <= planned <= 300_000_000
