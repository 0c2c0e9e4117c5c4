"""Which views of a file are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plenostream.cameras import load_cameras
from plenostream.errors import InvalidInput
from plenostream.rules import parse_view_numbers


class TestViewNumbers:
    def test_runs_and_numbers_keep_their_order(self) -> None:
        assert parse_view_numbers("8-10, 0,3") == [range(8, 11), range(0, 1), range(3, 4)]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not a view"),
            ("1,,2", "is not a view"),
            ("-3", "is not a view"),
            ("1-", "is not a view"),
            ("1.5", "is not a view"),
            ("a-b", "is not a view"),
            ("\N{SUPERSCRIPT TWO}", "is not a view"),
            ("9" * 5000, "is not a view"),
            ("5-3", "ends before it begins"),
            ("1,0-4", "named before"),
            ("2,2", "named before"),
        ],
    )
    def test_text_that_names_no_views_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            parse_view_numbers(text)

    @pytest.mark.parametrize("views", ["0,3,8-12", [0, 3, 8, 9, 10, 11, 12]], ids=["text", "list"])
    def test_chosen_views_are_loaded_in_order(self, transforms: Path, views: Any) -> None:
        cameras = load_cameras(transforms, views=views, scene_scale=1, size=(8, 8))
        assert [c.eye_world[0] / 3 for c in cameras] == [0, 3, 8, 9, 10, 11, 12]

    @pytest.mark.parametrize(("views", "wrong"), [("13", 13), ("4-999999999999", 13), ("99", 99)])
    def test_a_view_beyond_the_file_is_refused_with_the_count(
        self, transforms: Path, views: str, wrong: int
    ) -> None:
        with pytest.raises(InvalidInput, match=rf"view {wrong} .* has 13 \(0 to 12\)"):
            load_cameras(transforms, views=views)

    @pytest.mark.parametrize(
        "views", [0, 1.5, [], [0.0], [True], ["0"], [-1], [1, 1], b"0", {0}, [[0]]], ids=str
    )
    def test_what_is_no_list_of_views_is_refused(self, transforms: Path, views: Any) -> None:
        with pytest.raises(InvalidInput, match="view"):
            load_cameras(transforms, views=views, size=(8, 8))

    def test_arrays_and_ranges_of_numbers_are_lists(self, transforms: Path) -> None:
        for views in (np.array([2, 1]), range(2, 0, -1)):
            cameras = load_cameras(transforms, views=views, size=(8, 8))  # type: ignore[arg-type]
            assert [c.eye_world[0] for c in cameras] == [4.0, 2.0]
