"""tools/bench view: a visitor moves and rests, and its figures are those of what it saw."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plenostream.options import RenderOptions, StreamOptions
from plenostream.testing.checkpoints import CheckpointArrays

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

viewing = pytest.importorskip("benchmarks.viewing", reason="needs websockets", exc_type=ImportError)


def test_visitor_sees_pictures_and_says_how_many(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "_WARM_UP_S", 0.2)
    said: list[str] = []
    run = viewing.measure_viewing(
        str(make_scene(gyroid)),
        size=(96, 64),
        seconds=0.5,
        rounds=2,
        options=RenderOptions(),
        stream=StreamOptions(),
        say=said.append,
    )
    assert len(said) == 2
    assert run.frames_per_second * 0.5 == pytest.approx(sum(run.divisors.values()))
    assert len(run.latency.seconds) == sum(run.divisors.values()) > 0
    assert len(run.to_exact.seconds) == len(run.to_turn.seconds) == 2
    rows = {row.label: row.value for row in viewing.viewing_rows(run, (96, 64))}
    assert rows["moving: pictures a second"] == f"{run.frames_per_second:.1f}"
