"""The kernels under the address and undefined-behaviour sanitizers of gcc, on scenes of all kinds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plenostream.integrator.native.sources import FOLDER, digest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]

FLAGS = (
    "-std=gnu11 -O1 -g -fPIC -shared -ffp-contract=off -fno-strict-aliasing -Wall -Wextra -Werror"
    " -Wno-psabi -fsanitize=address,undefined -fno-sanitize-recover=undefined"
)
DRAW = """
import itertools, sys
from pathlib import Path
import numpy as np
import plenostream as ps
from plenostream.integrator.native import library
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.going_back import LinearLoss, back_session, go_back
from plenostream.testing.pictures import open_renderer, rays_around
from plenostream.testing.scenes import write_checkpoint_plain

opened = library.open_library(Path(sys.argv[1]))
library.open_library = lambda path: opened
view = ps.look_at_camera((1.1, 0.3, -0.4), (0.0, 0.1, 0.0), fov_degrees=60.0, size=(37, 26))
kinds = itertools.product((8, 16), (1, 9, 25), ("float16", "float32"))
for number, (brick_size, basis_dim, precision) in enumerate(kinds):
    rng = np.random.default_rng(number)
    size = tuple(int(n) for n in rng.integers(2, 40, 3))
    made = random_checkpoint(number, size=size, basis_dim=basis_dim, active_share=rng.random())
    scene = Path(sys.argv[2]) / f"{number}.zarr"
    write_checkpoint_plain(scene, made, brick_size=brick_size)
    stream = {"backend": "native", "precision": precision, "n_threads": 2}
    with open_renderer(scene, **stream) as renderer:
        whole = renderer.render(view)
        smallest = renderer.plan(view).smallest_budget_bytes
        renderer.render_rays(*rays_around(number, 700))
    with open_renderer(scene, device_memory=smallest, **stream) as renderer:
        assert np.array_equal(renderer.render(view).rgb, whole.rgb)
    with back_session(scene, {}, "native", precision=precision, n_threads=2) as session:
        go_back(session, LinearLoss.random(1, rays_around(number, 130)))
print("drawn", number + 1)
"""


def test_random_scenes_are_drawn_without_a_fault(tmp_path: Path) -> None:
    library = tmp_path / "kernels.so"
    sources = [str(FOLDER / name) for name in ("kernels.c", "variants.c")]
    defines = ["-DVARIANT=v1", f'-DSOURCES="{digest()}"']
    subprocess.run(["gcc", *FLAGS.split(), *defines, *sources, "-lm", "-o", library], check=True)
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, text=True, capture_output=True
    )
    env = {
        **os.environ,
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # of Python's
    }
    done = subprocess.run(
        [sys.executable, "-c", DRAW, library, tmp_path], env=env, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == "drawn 12\n"
