"""A wheel, built and installed for real into an environment with nothing else, does the main job."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from plenostream.integrator.native.sources import FOLDER, library_name

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data"

NO_COMPILE = "--no-compile"
"""What is never imported need not be compiled, which takes longer than the rest of an installation."""

pytestmark = pytest.mark.slow

# Nothing of the checkout, and none of the strictness of the tests, may reach the new one.
ENV = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTHON", "JAX_NUMPY"))
}


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command; the test fails with all that it printed if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `python -m build` makes, by way of a source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "-qq", NO_COMPILE, wheel, cwd=folder)
    return folder / "bin"


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "plenostream"
    modules = {str(path.relative_to(ROOT)) for path in package.rglob("*.py")}
    scripts = {name for name in names if ".data/scripts/" in name}
    assert [name.rpartition("/")[2] for name in scripts] == ["plenostream"]
    kernels = {str(path.relative_to(ROOT)) for path in FOLDER.glob("*.[ch]")}
    library = str((FOLDER.parent / library_name()).relative_to(ROOT))
    page = {str(path.relative_to(ROOT)) for path in (package / "viewer" / "static").iterdir()}
    assert len(page) > 5
    assert names - scripts == modules | kernels | page | {"plenostream/py.typed", library}


def test_installed_wheel_renders_what_svox2_renders(programs: Path, tmp_path: Path) -> None:
    program = programs / "plenostream"
    run(program, "convert", SAMPLE / "still_128.npz", "still.zarr", cwd=tmp_path)
    run(
        *(program, "render", "still.zarr", "r_0.png", "--size", "200x200"),
        *("--cameras", SAMPLE / "still_cameras.json", "--views", "0"),
        cwd=tmp_path,
    )
    picture, recorded = (
        cv2.imread(str(path)).astype(np.int64)
        for path in (tmp_path / "r_0.png", SAMPLE / "still_r_0.png")
    )
    # Float16 densities move this scene by 1e-3 at most: a step of 8 bits where rounding turns on it.
    assert np.abs(picture - recorded).max() <= 1


def test_checkout_installs_as_a_folder(programs: Path, tmp_path: Path) -> None:
    # Over the wheel, whose dependencies are the same; what differs is the build, from the tree.
    run(programs / "python", "-m", "pip", "uninstall", "-qq", "-y", "plenostream", cwd=tmp_path)
    run(programs / "python", "-m", "pip", "install", "-qq", NO_COMPILE, ROOT, cwd=tmp_path)
    assert run(programs / "plenostream", "--version", cwd=tmp_path).strip()
