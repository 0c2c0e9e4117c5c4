"""tools/bench huge: copies are sound scenes, and what is measured of them is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.edits import add_levels
from plenostream.errors import InvalidInput
from plenostream.format.verify import verify
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.scenes import write_checkpoint_plain

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks import huge  # noqa: E402
from benchmarks.copies import copy_scene  # noqa: E402
from benchmarks.huge import huge_rows, measure_huge  # noqa: E402


def quiet(what: str) -> None:
    """Says nothing."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ball of voxels that touches no border, with a level."""
    arrays = random_checkpoint(5, size=(32, 32, 32), active_share=0.5)
    away = np.linalg.norm(np.indices(arrays.links.shape) - 15.5, axis=0)
    arrays.links[away > 11] = -1
    folder = tmp_path_factory.mktemp("huge")
    write_checkpoint_plain(folder / "plain", arrays, brick_size=8)
    add_levels(folder / "plain", folder / "scene", levels=1)
    return folder / "scene"


def test_copies_are_sound_and_share_their_rows(
    scene: Path, tmp_path: Path, small_chunks: None
) -> None:
    meta = copy_scene(scene, tmp_path / "many", copies=2, say=quiet)
    assert verify(tmp_path / "many").faults == ()
    assert len(meta.levels) == 1
    some = tmp_path / "many" / "rows" / "sh" / "c" / "0" / "0"
    assert os.stat(some).st_nlink == 8


def test_scene_that_reaches_its_border_is_refused(tiny: CheckpointArrays, tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "tiny", tiny, brick_size=8)
    with pytest.raises(InvalidInput, match="voxels at its border"):
        copy_scene(tmp_path / "tiny", tmp_path / "many", copies=2, say=quiet)


def test_figures_say_that_pictures_are_the_same(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Processes of their own are for figures: here they would take seconds to start.
    monkeypatch.setattr(huge, "apart", lambda environment, draw, *args: draw(*args))
    found = measure_huge(
        str(scene),
        tmp_path / "made",
        copies=2,
        size=(32, 24),
        options=ps.RenderOptions(),
        stream=ps.StreamOptions(n_threads=1),
        rounds=1,
        say=quiet,
    )
    rows = {row.label: row.value for row in huge_rows(found)}
    assert rows["same picture as of these alone"] == "yes"
    assert found.far is not None
    assert not (tmp_path / "made").exists()
