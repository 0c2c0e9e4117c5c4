"""Sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.errors import InvalidInput
from plenostream.rules.bytesize import format_bytes, format_least_bytes, parse_bytes


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("1", 1),
        ("512", 512),
        ("512B", 512),
        ("512MB", 512_000_000),
        ("512mb", 512_000_000),
        ("512 MB", 512_000_000),
        ("  2GB ", 2_000_000_000),
        ("2g", 2_000_000_000),
        ("1.5GiB", 1_610_612_736),
        ("1kB", 1000),
        ("1KiB", 1024),
        ("1ki", 1024),
        (".5kB", 500),
        ("2.kB", 2000),
        ("1TB", 1_000_000_000_000),
        ("1.0005kB", 1000),
        ("0.29GB", 290_000_000),
        (4096, 4096),
    ],
)
def test_size_is_understood(text: int | str, n_bytes: int) -> None:
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MB",
        "-1",
        "1e9",
        "nan",
        "inf",
        "1 GB 2",
        "1XB",
        "GB1",
        "0",
        "0GB",
        "0.1",
        "1,5GB",
        "9" * 400,
        "١GB",
    ],
)
def test_text_that_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match="device_memory"):
        parse_bytes(text, name="device_memory")


@pytest.mark.parametrize("value", [0, -5, True, 1.5, None])
def test_value_that_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        parse_bytes(value)  # type: ignore[arg-type]


@given(n_bytes=st.integers(1, 2**53))
def test_plain_number_of_bytes_is_exact(n_bytes: int) -> None:
    assert parse_bytes(str(n_bytes)) == parse_bytes(n_bytes) == n_bytes


@given(n_bytes=st.integers(1, 999 * 10**12))
def test_formatted_size_reads_back_within_its_three_digits(n_bytes: int) -> None:
    # three digits: half a unit in the last place of 100, and reading rounds down
    assert abs(parse_bytes(format_bytes(n_bytes)) - n_bytes) <= 0.005 * n_bytes + 1


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2_711_148, "2.71 MB"),
        (8_000_000_000, "8 GB"),
        (5_120_000_000_000, "5.12 TB"),
        (10**15, "1000 TB"),
        (1_234_567_890_123_456, "1235 TB"),
    ],
)
def test_size_is_written_with_three_digits(n_bytes: int, text: str) -> None:
    assert format_bytes(n_bytes) == text


@given(st.integers(1, 10**16))
def test_least_size_is_enough_when_it_is_given_as_it_is_said(n_bytes: int) -> None:
    given_back = parse_bytes(format_least_bytes(n_bytes))
    assert n_bytes <= given_back <= n_bytes * 1.01 + 1


def test_least_size_reads_like_a_size() -> None:
    assert format_least_bytes(41_531_000_000) == "41.6GB"
    assert format_least_bytes(999_900_000) == "1GB"
