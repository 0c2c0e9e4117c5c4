"""What a notebook shows of scenes, renderers and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays


def test_picture_shows_its_colours_and_says_what_it_holds() -> None:
    rgb = np.random.default_rng(1).uniform(-0.2, 1.3, (5, 7, 3)).astype(np.float32)
    flat = np.zeros((5, 7), np.float32)
    picture = ps.RenderResult(rgb, flat, flat, ps.FrameStats(backend="native"), normals=rgb)
    shown = cv2.imdecode(np.frombuffer(picture._repr_png_(), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(shown[..., ::-1], 255 * np.clip(rgb, 0, 1), atol=0.5001)
    assert repr(picture) == (
        "<RenderResult: rgb [5, 7, 3], alpha [5, 7], depth [5, 7], normals [5, 7, 3]; native, 0 s>"
    )


def test_scene_and_renderer_say_what_they_are(
    make_scene: Callable[..., Path], tiny: CheckpointArrays
) -> None:
    path = make_scene(tiny)
    with ps.open_scene(path) as scene, ps.Renderer(scene) as renderer:
        x, y, z = scene.grid.size
        assert repr(scene).startswith(f"<Scene {path.name}: {x} x {y} x {z} voxels, ")
        assert renderer.backend.name in repr(renderer)
