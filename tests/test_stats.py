"""Counters of a frame that was drawn in parts."""

from __future__ import annotations

from plenostream.stats import FrameStats


def test_parts_of_a_frame_add_their_counts_and_keep_the_larger_peak() -> None:
    frame = FrameStats(bricks_read=3, bytes_read=100, seconds=0.5, peak_device_bytes=7)
    frame.absorb(FrameStats(bricks_read=4, bytes_read=50, seconds=0.25, peak_device_bytes=5))
    assert (frame.bricks_read, frame.bytes_read, frame.seconds) == (7, 150, 0.75)
    assert frame.peak_device_bytes == 7


def test_budget_of_a_frame_is_not_added_up_over_its_parts() -> None:
    frame = FrameStats(allowed_device_bytes=10, planned_host_bytes=8)
    frame.absorb(FrameStats(allowed_device_bytes=10, planned_host_bytes=9))
    assert (frame.allowed_device_bytes, frame.planned_host_bytes) == (10, 9)


def test_every_counter_starts_at_zero_and_is_in_the_dictionary() -> None:
    assert set(FrameStats().to_dict().values()) == {0}
