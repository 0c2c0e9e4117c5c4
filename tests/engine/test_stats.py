"""Counters of a frame."""

from __future__ import annotations

from plenostream.results import FrameStats


def test_every_counter_starts_at_zero_and_is_in_the_dictionary() -> None:
    told = FrameStats().to_dict()
    assert (told.pop("backend"), told.pop("precision")) == ("", "")
    assert set(told.values()) == {0}
