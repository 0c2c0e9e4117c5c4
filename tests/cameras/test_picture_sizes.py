"""Width and height from the headers of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from plenostream.cameras.image_size import read_image_size


class TestImageSize:
    def test_of_a_jpeg_is_read_from_its_frame_segment(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        app = b"\xff\xe0\x00\x06JFIF"
        table = b"\xff\xc4\x00\x04\x01\x02"
        path.write_bytes(b"\xff\xd8" + app + table + b"\xff\xc2\x00\x11\x08\x01\x2c\x01\x90")
        assert read_image_size(path) == (400, 300)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x89PNG\r\n\x1a\n\0\0",
            b"\xff\xd8\xff\xe0",
            b"\xff\xd8\0\0\0\0",
            b"GIF89a" + b"0" * 30,
        ],
        ids=["empty", "short png", "short jpeg", "no segment", "gif"],
    )
    def test_of_anything_else_is_unknown(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(content)
        assert read_image_size(path) is None
