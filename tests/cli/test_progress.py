"""What is said while work goes on."""

from __future__ import annotations

import contextlib
import sys
import time

import pytest

from plenostream.cli.progress import Progress
from plenostream.cli.summary import format_seconds
from plenostream.errors import BudgetError


def test_without_a_terminal_says_rate_and_time_left_by_all_frames_but_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Progress(quiet=False, unit="frames") as progress:
        for done, now in [(0, 90.0), (1, 100.0), (2, 110.0), (3, 111.0), (300, 399.0)]:  # noqa: B007
            progress.update("rendering", done, 300)
    assert capsys.readouterr().err.splitlines() == [
        "rendering: 1 of 300",
        "rendering: 2 of 300, 49:40 left,  0.10 frames/s",
        "rendering: 300 of 300, 00:00 left,  1.00 frames/s",
    ]


def test_single_picture_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=False, unit="frames") as progress:
        progress.update("rendering", 0, 1)
        progress.update("rendering", 1, 1)
    assert capsys.readouterr().err == "rendering: 1 of 1\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_work_that_is_refused_before_it_began_shows_no_progress(
    terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    refusal = BudgetError("too small", planned_bytes=2, allowed_bytes=1, smallest_bytes=2)
    progress = Progress(quiet=False, unit="frames")
    with contextlib.suppress(BudgetError), progress:
        progress.update("rendering", 0, 2)
        raise refusal
    # What a bar drew is blanked: only returns and spaces come after it.
    drawn = capsys.readouterr().err.split("\r")
    assert "".join(drawn[-2:]).strip() == ""


def test_on_a_terminal_draws_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress(quiet=False) as progress:
        progress.update("reading", 1, 2)
        progress.update("packing", 2, 2)
    shown = capsys.readouterr().err
    assert "reading:  50 %" in shown
    assert "packing: 100 %" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0421, "0.0421 s"), (73.2, "73.2 s"), (725, "12 min 5 s"), (11_040, "3 h 4 min")],
)
def test_times_are_for_reading(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
