"""Parts of pictures are what they are of the whole picture, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras.lenses import Fisheye, Lens, Orthographic, Pinhole, RadialTangential
from plenostream.edits import add_levels
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer

pytest.importorskip("distributed", reason="needs dask.distributed")

from plenostream.cluster.sharing import bands, share_out  # noqa: E402


@pytest.fixture(scope="module")
def levelled(
    gyroid: CheckpointArrays,
    make_scene: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A scene with two coarser levels."""
    target = tmp_path_factory.mktemp("levelled") / "scene"
    add_levels(make_scene(gyroid), target, levels=2)
    return target


@pytest.mark.parametrize(
    ("lens", "options"),
    [
        (Pinhole(), {"samples": 2, "outputs": ("rgb", "normals", "median-depth")}),
        (Pinhole(), {"level": "auto", "pixel_footprint": 1.5}),
        (Fisheye(k=(0.1, 0.02, 0.0, 0.0)), {}),
        (RadialTangential(k=(-0.2, 0.03, 0, 0, 0, 0)), {"samples": 2}),
        (Orthographic(), {}),
    ],
    ids=["samples", "levels", "fisheye", "distorted", "parallel"],
)
def test_bands_together_are_the_whole_picture(
    levelled: Path, lens: Lens, options: dict[str, object]
) -> None:
    at = ps.look_at_camera((1.6, -1.1, 0.9), (0, 0, 0), size=(70, 131))
    focal = 30.0 if isinstance(lens, Orthographic) else 90.0
    camera = ps.Camera(at.c2w, focal, focal, 35.37, 200.0 / 3.0, 70, 131, lens=lens)
    parts = bands(camera, 8)
    assert len(parts) > 2
    with open_renderer(levelled, options=options) as renderer:
        whole = renderer.render(camera)
        drawn = [renderer.render(camera.region(0, a, 70, b - a)) for a, b in parts]
    for name in ("rgb", "alpha", "depth", "normals", "median_depth"):
        if getattr(whole, name) is not None:
            together = np.concatenate([getattr(part, name) for part in drawn])
            np.testing.assert_array_equal(together, getattr(whole, name), err_msg=name)


def test_rows_are_shared_out_whole_and_within_what_may_wait_here() -> None:
    cameras = [ps.look_at_camera((3, 0, 0), (0, 0, 0), size=(40, height)) for height in (97, 400)]
    for n_workers, host_bytes in [(1, 10**9), (3, 10**9), (5, 200_000), (2, 1)]:
        share = share_out(cameras, ("rgb",), n_workers=n_workers, host_bytes=host_bytes)
        for camera, parts in zip(cameras, share.parts, strict=True):
            rows = [row for top, bottom in parts for row in range(top, bottom)]
            assert rows == list(range(camera.height))
        assert share.sent_bytes == 40 * (97 + 400) * 12
        assert share.n_parts >= min(n_workers, 2)
        assert share.most == 1 or share.most * share.part_bytes <= host_bytes
        assert 0 < share.balance <= 1
