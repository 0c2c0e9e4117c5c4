"""Files that mutation found worth keeping: each is read whole, or refused with an error of ours.

A case for each way in which reading ended, as `tools/fuzz --keep` collects them; names say how
it was when the case was kept. Nothing but an error of ours comes out, no warning, and nothing takes
more memory than four times the file or 64 MB.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from fuzzing.outcome import Finding, memory_bound, observe, slug  # noqa: E402
from fuzzing.target import Target  # noqa: E402
from fuzzing.targets import TARGETS  # noqa: E402

from plenostream.errors import InternalError, StoreError  # noqa: E402

CORPUS = ROOT / "tests" / "corpus"
MOST_BYTES = 300_000


@pytest.fixture(autouse=True)
def _tracing() -> Iterator[None]:
    yield
    tracemalloc.stop()


@pytest.fixture(scope="module", params=sorted(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]()


def cases_of(target: Target) -> list[Path]:
    return sorted((CORPUS / target.name).iterdir())


def test_every_kept_case_is_read_or_refused(target: Target, tmp_path: Path) -> None:
    cases = cases_of(target)
    assert len(cases) > 10
    wrong = []
    for path in cases:
        case = path.read_bytes()
        folder = tmp_path / path.name
        folder.mkdir()
        try:
            observe(lambda case=case, folder=folder: target.read(case, folder), len(case))
        except Finding as finding:
            wrong.append(f"{path.relative_to(ROOT)}: {finding}")
    assert wrong == []


def test_what_fuzzing_begins_with_is_read(target: Target, tmp_path: Path) -> None:
    endings = [observe(lambda c=c: target.read(c, tmp_path), len(c)) for c in target.seeds()]
    assert "read" in endings


def test_kept_cases_are_small() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(sizes) < MOST_BYTES


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("raw"), "ValueError"),
        (InternalError("ours"), "InternalError"),
        (RuntimeWarning("overflow"), "RuntimeWarning"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_error_that_is_not_for_users_is_a_finding(error: Exception, kind: str) -> None:
    def read() -> None:
        raise error

    with pytest.raises(Finding) as finding:
        observe(read, 10)
    assert finding.value.kind.startswith(f"{kind} at test_corpus.py")


def test_error_for_users_is_none() -> None:
    def read() -> None:
        raise StoreError("damaged")

    assert observe(read, 10) == "StoreError: damaged"


def test_memory_beyond_the_bound_is_a_finding() -> None:
    with pytest.raises(Finding, match="8[0-9]{7} bytes"):
        observe(lambda: bytearray(80_000_000) and None, 10)
    assert memory_bound(100_000_000) == 400_000_000
    assert observe(lambda: bytearray(80_000_000) and None, 30_000_000) == "read"


def test_endings_that_differ_in_what_the_file_said_have_one_name() -> None:
    one, other = (
        "CameraError: /tmp/x/c.json: `w` is -3; 'a b'",
        "CameraError: /tmp/x/c.json: `w` is 4; ''",
    )
    assert slug(one, folder=Path("/tmp/x")) == slug(other, folder=Path("/tmp/x"))
