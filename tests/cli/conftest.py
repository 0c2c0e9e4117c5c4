"""Commands run against paper, in an environment of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paper import Paper


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """What a command sets for JAX must not reach other tests, nor the user's caches this one."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    # Set, so that JAX's own settings stay as they are.
    os.environ["NPROC"] = "2"
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["XDG_CACHE_HOME"]


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    made = Paper()
    monkeypatch.setattr("plenostream.scene.open_scene", made.open_scene)
    monkeypatch.setattr("plenostream.renderer.Renderer", made.renderer)
    return made


@pytest.fixture
def camera_file(tmp_path: Path) -> Path:
    """Twelve views."""
    frame = {"transform_matrix": np.eye(4).tolist()}
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"camera_angle_x": 0.7, "frames": [frame] * 12}))
    return path
