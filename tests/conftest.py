"""Settings and fixtures of the whole suite: strict JAX, hypothesis profiles, scenes, ../shared."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from plenostream.testing.checkpoints import (
    CheckpointArrays,
    gyroid_checkpoint,
    random_checkpoint,
)

# Set through the environment, so that the tests of NumPy-only modules need not import jax and
# that the processes which tests start are held to the same rules.
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# No deadlines: on a busy machine they fail for the wrong reason. "dev" always draws the same
# examples, so that a failure in the gate is a failure at one's desk; "full" looks for new ones.
settings.register_profile("dev", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("full", max_examples=1000, deadline=None)
settings.load_profile("dev")

_NEEDS_SHARED = "needs the folder `shared` beside this checkout (recorded svox2 outputs, models)"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded outputs and trained models; the test is skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "reference" / "check.py").is_file():
        pytest.skip(_NEEDS_SHARED)
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for want of `shared`, so that no gap goes unnoticed."""
    skipped = terminalreporter.stats.get("skipped", [])
    missing = sum(_NEEDS_SHARED in str(report.longrepr) for report in skipped)
    if missing:
        terminalreporter.write_line(f"{missing} tests were skipped: each {_NEEDS_SHARED}")


@pytest.fixture(scope="session")
def tiny() -> CheckpointArrays:
    """A random checkpoint of 16^3 voxels, as arrays."""
    return random_checkpoint(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    return tiny.save(tmp_path_factory.mktemp("checkpoints") / "tiny.npz")


@pytest.fixture(scope="session")
def gyroid() -> CheckpointArrays:
    """A curved sheet in 48^3 voxels: many bricks, empty ones and hidden ones among them."""
    return gyroid_checkpoint()


@pytest.fixture(scope="session")
def gyroid_file(gyroid: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    return gyroid.save(tmp_path_factory.mktemp("checkpoints") / "gyroid.npz")


@pytest.fixture(scope="session")
def make_scene(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_scene(checkpoint, brick_size=16)`: the scene of a checkpoint (arrays or a file).

    Each file is converted once a session and brick size.
    """
    made: dict[tuple[CheckpointArrays | Path, int], Path] = {}

    def make(checkpoint: CheckpointArrays | Path, *, brick_size: int = 16) -> Path:
        key = (checkpoint, brick_size)
        if key not in made:
            import plenostream as ps

            folder = tmp_path_factory.mktemp("scenes")
            if isinstance(checkpoint, Path):
                source = checkpoint
            else:
                source = checkpoint.save(folder / "checkpoint.npz", compressed=False)
            target = folder / "scene.zarr"
            ps.convert(source, target, brick_size=brick_size)
            made[key] = target
        return made[key]

    return make
