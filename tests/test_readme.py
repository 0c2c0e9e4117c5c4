"""What README and docs/ say can be done is done here: their Python and their commands, as they stand."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from plenostream.cli import main as cli
from plenostream.cli.group import commands as all_commands
from plenostream.field.grid import GridSpec
from plenostream.format.layout import SceneMeta, array_specs

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.name: path for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
RUN = ("README.md", "usage.md")
"""Pages whose commands are run, in this order."""
READ_ALONE = ("distributed.md", "training.md")
"""Pages whose commands and Python are for clusters that are not at hand here, or take half an hour."""
SMALLER = ("n = 512", "n = 96")
"""What examples of large scenes are tried with here."""


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of a language, in order."""
    text = PAGES[page].read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Lines of a page's blocks that start with `plenostream`, without comments."""
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("plenostream ")]


@pytest.fixture
def beside_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the sample data in it, as the current one."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"XDG_CACHE_HOME": str(tmp_path / "c")})
    return tmp_path


@pytest.mark.slow
def test_the_python_blocks_run_one_after_the_other(
    beside_the_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (main_job,), (plain_zarr,) = blocks("README.md", "python"), blocks("format.md", "python")
    names: dict[str, Any] = {}
    exec(compile(main_job, "README.md", "exec"), names)
    image, plan = names["image"], names["plan"]
    assert image.rgb.shape == (200, 200, 3)
    assert image.stats.peak_device_bytes <= plan.planned_device_bytes
    assert str(plan.smallest_budget_bytes) in capsys.readouterr().out
    exec(compile(plain_zarr, "format.md", "exec"), names)
    assert np.count_nonzero(names["density"]) == names["stop"] - names["start"]


def test_no_page_has_blocks_that_are_not_run() -> None:
    with_python = [name for name in PAGES if blocks(name, "python")]
    assert sorted(with_python) == sorted(["README.md", "arrays.md", "format.md", *READ_ALONE])
    run = [*RUN, "arrays.md", *READ_ALONE]
    assert sorted(name for name in PAGES if commands(name)) == sorted(run)


@pytest.mark.parametrize("page", READ_ALONE)
def test_what_is_not_run_can_be_read(page: str) -> None:
    for words in commands(page):
        known = all_commands.get_command(click.Context(all_commands), words[1])
        assert known is not None
        known.make_context(words[1], words[2:])  # refuses what it does not know
    for block in blocks(page, "python"):
        compile(block, page, "exec")


def test_the_main_job_is_ten_lines() -> None:
    code = [line for line in blocks("README.md", "python")[0].splitlines() if line.strip()]
    assert len(code) <= 11


@pytest.mark.slow
def test_the_commands_run_in_order(beside_the_data: Path) -> None:
    made = [words for page in RUN for words in commands(page)]
    assert [words[1] for words in made[:5]] == ["convert", "info", "verify", "render", "render"]
    for words in made:
        assert cli.main(words[1:]) == 0, words
    assert (beside_the_data / "view.png").stat().st_size > 10_000
    assert (beside_the_data / "turn.mp4").stat().st_size > 10_000
    assert sorted(path.name for path in (beside_the_data / "views").iterdir()) == [
        "frame_0000.png",
        "frame_0003.png",
    ]


@pytest.mark.slow
def test_the_examples_of_scenes_from_arrays_run(
    beside_the_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for block in blocks("arrays.md", "python"):
        assert SMALLER[0] in block
        exec(compile(block.replace(*SMALLER), "arrays.md", "exec"), {})
    assert "stored" in capsys.readouterr().out
    for words in commands("arrays.md"):
        assert cli.main(words[1:]) == 0, words
    assert (beside_the_data / "ball.zarr" / "zarr.json").exists()
    assert (beside_the_data / "foam.png").stat().st_size > 10_000


def test_the_tables_name_every_array_of_the_format() -> None:
    named = re.findall(r"^\| `((?:bricks|rows)/\w+)` \|", PAGES["format.md"].read_text(), re.M)
    # Once as what they are; rows once more, with their chunks.
    assert named[:-2] == list(array_specs(_any_meta()))
    assert named[-2:] == ["rows/density", "rows/sh"]


def _any_meta() -> SceneMeta:
    values: dict[str, Any] = dict.fromkeys(SceneMeta.__dataclass_fields__, 0)
    values |= {"grid": GridSpec(size=(8, 8, 8)), "brick_size": 8, "basis_dim": 1}
    return SceneMeta(**values | {"sh_dtype": "float16", "learned": None, "background": None})
