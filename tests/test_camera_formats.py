"""The same cameras in another format give the same picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer

sys.path.insert(0, str(Path(__file__).parent / "cameras"))

from colmap_models import PARAMETERS, write_model  # noqa: E402

pytestmark = pytest.mark.usefixtures("each_backend")

SAME = 2e-5
POSES = {
    "a.png": ps.look_at_camera((1.9, 0.8, 0.9), (0.0, 0.0, 0.0)).c2w,
    "b.png": ps.look_at_camera((0.1, -0.2, 0.1), (1.0, 0.4, 0.3)).c2w,
}
DISTORTED = {
    "OPENCV": ("OPENCV", ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")),
    "OPENCV_FISHEYE": ("OPENCV_FISHEYE", ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "k3", "k4")),
    "FULL_OPENCV": (
        "FULL_OPENCV",
        ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    ),
}


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@pytest.mark.one_backend
@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("model", DISTORTED)
def test_colmap_model_with_distortion_is_drawn_as_the_transforms_file(
    tmp_path: Path, scene: Path, model: str, text: bool
) -> None:
    name, keys = DISTORTED[model]
    write_model(tmp_path / "sparse" / "0", model, PARAMETERS[model], POSES, text=text)
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    frames = [
        {"file_path": name, "transform_matrix": (np.vstack([c2w, (0, 0, 0, 1)]) @ flip).tolist()}
        for name, c2w in POSES.items()
    ]
    document = {
        **dict(zip(keys, PARAMETERS[model], strict=True)),
        **{"camera_model": name, "w": 64, "h": 48, "frames": frames},
    }
    (tmp_path / "t.json").write_text(json.dumps(document))
    with open_renderer(scene) as renderer:
        for ours, theirs in zip(
            ps.load_cameras(tmp_path), ps.load_cameras(tmp_path / "t.json"), strict=True
        ):
            assert theirs.lens == ours.lens
            assert type(ours.lens).__name__ in ("RadialTangential", "Fisheye")
            pictures = [renderer.render(camera) for camera in (ours, theirs)]
            assert pictures[0].alpha.max() > 0.5
            for value in ("rgb", "alpha", "depth"):
                one, other = (getattr(picture, value) for picture in pictures)
                assert np.abs(one - other).max() <= SAME
