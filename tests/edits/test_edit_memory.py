"""Edits keep within their memory, and a grid of 2048^3 voxels does not matter to them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps

PROGRAM = """
import json, resource, sys
import dask.threaded
import plenostream as ps
from plenostream import edits

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

scene, target, memory, name, said = sys.argv[1:]
options = ps.EditOptions(host_memory=memory, workers=2)
before = peak()
said = json.loads(said)
if "min_weight" in said:
    said["cameras"] = [
        ps.look_at_camera((0.6, 0.1, 0.05), (0, 0, 0), size=(200, 200), fov_degrees=15)
    ]
places = ([scene, scene], target) if name == "merge" else (scene, target)
report = getattr(edits, name.split()[0])(*places, options=options, **said)
print(json.dumps([peak() - before, report.planned_bytes]))
"""
EDITS = {
    "add_levels": {"levels": 3},
    "crop": {"box": [0.0] * 3 + [1.0] * 3},
    "merge": {"shifts": [[0, 0, 400]]},
    "prune": {"min_density": 5.5},
    "prune by weight": {"min_weight": 0.001},
    "resample": {"factor": 0.5},
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of 140^3 voxels in the middle of 2048^3."""

    def block(lower: tuple[int, ...], upper: tuple[int, ...]) -> object:
        if max(lower) > 1095 or min(upper) <= 953:
            return None
        near = [
            (np.arange(a, b) >= 954) & (np.arange(a, b) < 1094)
            for a, b in zip(lower, upper, strict=True)
        ]
        density = (5.0 + np.arange(lower[2], upper[2]) % 2) * (
            near[0][:, None, None] & near[1][:, None] & near[2]
        )
        return density, np.broadcast_to(np.float32(0.5), (*density.shape, 27))

    path = tmp_path_factory.mktemp("scene") / "s.zarr"
    options = ps.ConvertOptions(levels=0)  # edits make them where there are some
    ps.write_scene(path, ps.GridSpec(size=(2048,) * 3), block, options, basis_dim=9)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_memory_grows_no_more_than_planned(scene: Path, tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            scene,
            tmp_path / "out",
            "500MB",
            name,
            json.dumps(EDITS[name]),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    grown, planned = json.loads(done.stdout)
    assert planned <= 500_000_000
    # What drawing takes is planned apart.
    assert grown <= (500_000_000 if "min_weight" in EDITS[name] else planned)
    with ps.open_scene(tmp_path / "out") as made:
        assert made.meta.n_voxels > 70**3
