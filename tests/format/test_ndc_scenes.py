"""Scenes in normalised device coordinates: what is stored, refused and said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import plenostream as ps
from plenostream.format.attributes import (
    ATTRIBUTES_KEY,
    _checksum,
    decode_attributes,
    encode_attributes,
)
from plenostream.format.info import info_lines
from plenostream.format.layout import SceneMeta
from plenostream.testing.checkpoints import random_checkpoint

CAMERA = (1008.0, 756.0, 815.0, 810.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that lies as svox2 places forward-facing scenes."""
    made = random_checkpoint(3, size=(12, 10, 9), radius=(1.5, 1.3, 1.0))
    return made.save(tmp_path_factory.mktemp("checkpoints") / "forward.npz")


def converted(checkpoint: Path, scene: Path, **options: Any) -> SceneMeta:
    ps.convert(checkpoint, scene, ps.ConvertOptions(**options))
    with ps.open_scene(scene) as opened:
        return opened.meta


def test_camera_is_kept_in_a_scene_that_older_readers_refuse(
    checkpoint: Path, tmp_path: Path
) -> None:
    meta = converted(checkpoint, tmp_path / "ndc.zarr", ndc=CAMERA)
    assert (meta.ndc, meta.format_version) == (CAMERA, 2)
    assert ps.scene_info(tmp_path / "ndc.zarr")["ndc"] == list(CAMERA)
    assert ps.verify(tmp_path / "ndc.zarr").ok
    plain = converted(checkpoint, tmp_path / "plain.zarr")
    assert (plain.ndc, plain.format_version) == (None, 1)


@pytest.mark.parametrize(
    "value", [None, 5, [1, 2, 3], [1, 2, 3, 0], [1, 2, 3, "4"], [1, 2, 3, True], [1, 2, 3, 1e7]]
)
def test_camera_that_is_none_is_refused_by_name(
    checkpoint: Path, tmp_path: Path, value: Any
) -> None:
    meta = converted(checkpoint, tmp_path / "scene.zarr", ndc=CAMERA)
    body = encode_attributes(meta, complete=True)[ATTRIBUTES_KEY] | {"ndc": value}
    del body["checksum"]
    with pytest.raises(ps.StoreFormat, match="attributes have ndc .*; expected a list of four"):
        decode_attributes({ATTRIBUTES_KEY: body | {"checksum": _checksum(body)}}, where="scene")


def test_other_camera_makes_another_conversion(checkpoint: Path, tmp_path: Path) -> None:
    scene = tmp_path / "scene.zarr"
    ps.convert(checkpoint, scene, ps.ConvertOptions(ndc=CAMERA))
    ps.convert(checkpoint, scene, ps.ConvertOptions(ndc=(9, 8, 7), overwrite=True))
    with ps.open_scene(scene) as opened:
        assert opened.meta.ndc == (9, 8, 7, 7)


def test_scene_that_may_need_a_camera_says_so(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = tmp_path / "scene.zarr"
    report = ps.convert(checkpoint, scene)
    assert report.may_need_ndc
    assert "--ndc WIDTH,HEIGHT,FOCAL" in "\n".join(report.lines())
    assert any("forward-facing" in line for line in info_lines(ps.scene_info(scene)))
    with caplog.at_level(logging.WARNING), ps.open_scene(scene) as opened:
        with ps.Renderer(opened) as renderer:
            assert "forward-facing" in renderer.ndc.why
        assert "forward-facing" in caplog.text
        caplog.clear()
        for ndc in ("off", CAMERA):
            with ps.Renderer(opened, ps.RenderOptions(ndc=ndc)) as renderer:
                assert renderer.ndc.why == ""
                assert renderer.ndc.camera == (None if ndc == "off" else ndc)
    assert caplog.text == ""


def test_scene_with_a_camera_has_nothing_to_say(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = tmp_path / "scene.zarr"
    report = ps.convert(checkpoint, scene, ps.ConvertOptions(ndc=CAMERA))
    assert not report.may_need_ndc
    assert "normalised device coordinates" in "\n".join(info_lines(ps.scene_info(scene)))
    with ps.open_scene(scene) as opened, ps.Renderer(opened) as renderer:
        assert renderer.ndc.camera == CAMERA
    assert caplog.text == ""
