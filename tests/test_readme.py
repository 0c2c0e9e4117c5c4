"""What the README says can be done is done here: its Python and its commands, as they stand."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plenostream.cli import main as cli
from plenostream.field.grid import GridSpec
from plenostream.format.layout import SceneMeta, array_specs

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Lines of the README that start with `plenostream`, without comments."""
    lines = [line for block in blocks("") for line in block.splitlines()]
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
    main_job, plain_zarr = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(main_job, "README.md", "exec"), names)
    image, plan = names["image"], names["plan"]
    assert image.rgb.shape == (200, 200, 3)
    assert image.stats.peak_device_bytes <= plan.planned_device_bytes
    assert str(plan.smallest_budget_bytes) in capsys.readouterr().out
    exec(compile(plain_zarr, "README.md", "exec"), names)
    assert np.count_nonzero(names["density"]) == names["stop"] - names["start"]


def test_the_main_job_is_ten_lines() -> None:
    code = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(code) <= 11


@pytest.mark.slow
def test_the_commands_run_in_order(beside_the_data: Path) -> None:
    made = [words for words in commands() if words[1] != "bench"]
    assert [words[1] for words in made[:5]] == ["convert", "info", "verify", "render", "render"]
    for words in made:
        assert cli.main(words[1:]) == 0, words
    assert (beside_the_data / "view.png").stat().st_size > 10_000
    assert (beside_the_data / "turn.mp4").stat().st_size > 10_000


def test_the_tables_name_every_array_of_the_format() -> None:
    named = set(re.findall(r"^\| `((?:bricks|rows)/\w+)` \|", README, re.MULTILINE))
    assert named == set(array_specs(_any_meta()))


def _any_meta() -> SceneMeta:
    values: dict[str, Any] = dict.fromkeys(SceneMeta.__dataclass_fields__, 0)
    values |= {"grid": GridSpec(size=(8, 8, 8)), "brick_size": 8, "basis_dim": 1}
    return SceneMeta(**values | {"sh_dtype": "float16"})
