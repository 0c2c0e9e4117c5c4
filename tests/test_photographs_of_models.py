"""What a trained model is worth: its views against photographs that it was not trained on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXPECTED = {"still_128": 30.17}
"""dB, by an independent renderer (mean of eight views, 400x400)."""


@pytest.mark.parametrize("name", EXPECTED)
def test_psnr_is_that_of_an_independent_renderer(name: str, shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    models = shared / "models"

    def run(*arguments: object) -> str:
        command = [sys.executable, "-m", "plenostream", *map(str, arguments)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
        return done.stdout

    run("convert", "-q", models / f"{name}.npz", tmp_path / "scene.zarr")
    told = json.loads(
        run("evaluate", tmp_path / "scene.zarr", "--cameras", models / "still_cameras.json",
            "--views", "0,2,4,6,8,10,12,14", "--json")
    )  # fmt: skip
    assert len(told["pictures"]) == 8
    assert told["mean"]["psnr"] == pytest.approx(EXPECTED[name], abs=0.01)
