"""Scenes of every released format version stay readable."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plenostream.format.reader import open_store
from plenostream.format.verify import verify
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.scenes import write_checkpoint_plain

KEPT = Path(__file__).with_name("version_1") / "tiny.zip"


def test_scene_of_version_1_is_whole_and_holds_what_it_was_made_of(tmp_path: Path) -> None:
    assert verify(KEPT).faults == ()
    checkpoint = random_checkpoint(21, size=(9, 8, 7), basis_dim=4)
    write_checkpoint_plain(tmp_path / "s.zarr", checkpoint, brick_size=8)
    with open_store(KEPT) as kept, open_store(tmp_path / "s.zarr") as made:
        for name in kept.specs:
            np.testing.assert_array_equal(kept.read_array(name), made.read_array(name), strict=True)
