"""Counters of a frame."""

from __future__ import annotations

from plenostream.stats import FrameStats


def test_every_counter_starts_at_zero_and_is_in_the_dictionary() -> None:
    assert set(FrameStats().to_dict().values()) == {0}
