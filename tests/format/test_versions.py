"""Scenes of every released format version stay readable, and older readers refuse newer ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plenostream.errors import StoreFormat
from plenostream.format import attributes
from plenostream.format.opening import open_store
from plenostream.format.verify import verify
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.extras import layer_arrays, network_arrays, texture_arrays
from plenostream.testing.scenes import write_checkpoint_plain

HERE = Path(__file__).parent
KEPT = HERE / "version_1" / "tiny.zip"
NEWER: dict[str, dict[str, Any]] = {
    "layers_and_texture": layer_arrays(5, height=4, layers=3)
    | texture_arrays(6, resolution=3, dim=7),
    "network": network_arrays(7, dim=2, width=4, n_frequencies=1),
}


def newer(name: str) -> Path:
    return HERE / "version_2" / f"{name}.zip"


def test_scene_of_version_1_is_whole_and_holds_what_it_was_made_of(tmp_path: Path) -> None:
    assert verify(KEPT).faults == ()
    checkpoint = random_checkpoint(21, size=(9, 8, 7), basis_dim=4)
    write_checkpoint_plain(tmp_path / "s.zarr", checkpoint, brick_size=8)
    with open_store(KEPT) as kept, open_store(tmp_path / "s.zarr") as made:
        for name in kept.specs:
            np.testing.assert_array_equal(kept.read_array(name), made.read_array(name), strict=True)


@pytest.mark.parametrize("name", NEWER)
def test_scene_of_version_2_is_whole_and_holds_what_it_was_made_of(
    name: str, tmp_path: Path
) -> None:
    assert verify(newer(name)).faults == ()
    with open_store(newer(name)) as kept:
        checkpoint = random_checkpoint(22, size=(9, 8, 7), basis_dim=kept.meta.basis_dim)
        made_path = tmp_path / "s.zarr"
        write_checkpoint_plain(made_path, checkpoint, brick_size=8, extras=NEWER[name])
        with open_store(made_path) as made:
            assert list(kept.specs) == list(made.specs)
            assert (kept.meta.background, kept.meta.learned) == (
                made.meta.background,
                made.meta.learned,
            )
            for array in kept.specs:
                values = kept.read_array(array), made.read_array(array)
                np.testing.assert_array_equal(*values, strict=True)


def test_scenes_without_anything_new_stay_of_version_1(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s.zarr", random_checkpoint(1, size=(5, 5, 5)))
    with open_store(tmp_path / "s.zarr") as made:
        assert made.meta.format_version == 1


@pytest.mark.parametrize("name", NEWER)
def test_reader_of_version_1_refuses_what_it_would_draw_wrongly(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "FORMAT_VERSION", 1)
    with pytest.raises(StoreFormat, match="format version 2"):
        open_store(newer(name))
