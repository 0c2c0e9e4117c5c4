"""A conversion's resident size stays within --host-memory, above the interpreter and its imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import json, resource, sys
import dask.threaded
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
source, target, options = sys.argv[1:]
report = convert(source, target, ConvertOptions(**json.loads(options)))
print(json.dumps([peak() - before, report.planned_bytes]))
"""


def measure(source: Path, target: Path, **options: object) -> tuple[int, int]:
    """Growth of the peak resident size, and what was planned (bytes)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, source, target, json.dumps(options)],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, planned = json.loads(done.stdout)
    return grown, planned


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every voxel of a wide grid active, rows backwards, compressed: nothing can be read along."""
    links = np.arange(34 * 160 * 160, dtype=np.int32)[::-1].reshape(34, 160, 160)
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("dense") / "a.npz"
    np.savez_compressed(
        path,
        links=links,
        density_data=np.ones((links.size, 1), np.float32),
        sh_data=np.tile(rng.normal(size=(1, 27)).astype(np.float16), (links.size, 1)),
    )
    return path


@pytest.mark.slow
def test_model_of_256_takes_less_than_250_mb_though_more_is_allowed(
    shared: Path, tmp_path: Path
) -> None:
    grown, planned = measure(shared / "models" / "still_256.npz", tmp_path / "s")
    assert grown <= min(planned, 250_000_000)


def test_model_of_256_obeys_a_bound_of_250_mb(shared: Path, tmp_path: Path) -> None:
    model = shared / "models" / "still_256.npz"
    grown, planned = measure(model, tmp_path / "s", host_memory="250MB")
    assert grown <= planned <= 250_000_000


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [150_000_000, 400_000_000])
def test_dense_model_obeys_its_bound(dense: Path, tmp_path: Path, allowed: int) -> None:
    grown, planned = measure(dense, tmp_path / "s", host_memory=allowed, brick_size=8, workers=2)
    assert grown <= planned <= allowed


@pytest.fixture(scope="module")
def model_of_512(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = shared / "models"
    made = tmp_path_factory.mktemp("large") / "still_512.npz"
    program = [sys.executable, models / "make_512.py", models / "still_256.npz", made]
    subprocess.run(program, check=True, capture_output=True)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("allowed", ["300MB", "1GB"])
def test_model_of_512_obeys_its_bound(model_of_512: Path, tmp_path: Path, allowed: str) -> None:
    grown, planned = measure(model_of_512, tmp_path / "s", host_memory=allowed)
    assert grown <= planned <= 1_000_000_000
