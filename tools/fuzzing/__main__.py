"""The command behind `tools/fuzz`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fuzzing.outcome import slug
from fuzzing.targets import TARGETS

_ROOT = Path(__file__).resolve().parents[2]
_LONGEST_CASE_S = 30
_LARGEST_RESIDENT_MB = 1500
_LARGEST_KEPT = 4096


@dataclass(slots=True)
class _Run:
    """What fuzzing a reader came to."""

    cases: int = 0
    branches: int = 0
    seconds: float = 0.0
    deaths: int = 0
    """Times that the process died: a crash, a case that did not end, or out of memory."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/fuzz",
        description="Look for files that a reader neither takes nor refuses as it should. Cases "
        "are changed behind their checksums, led by the branches of plenostream that they reach. "
        "A finding is anything but a picture of the file or an error of ours: another exception, "
        "a warning, an InternalError, a crash, a case that takes half a minute, more memory than "
        "four times the file or 64 MB, or a scene that one reader calls whole and another does not.",
        epilog="Findings lie in .fuzz/READER/findings, a case and its story each; run one again "
        "with --replay. Exit code 1 if there are any. An hour in all: tools/fuzz --seconds 900. "
        "tests/corpus holds a case for each way in which reading ended so far, which "
        "tests/test_corpus.py reads; --keep adds those that a run found.",
    )
    parser.add_argument(
        "readers",
        nargs="*",
        metavar="READER",
        help=f"which of {', '.join(TARGETS)}; all, one after another, unless said",
    )
    parser.add_argument(
        "--seconds", type=int, default=60, help="for each reader (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the changes (default: %(default)s)")
    parser.add_argument(
        "--keep", action="store_true", help="add a small case for each new ending to tests/corpus"
    )
    parser.add_argument("--replay", type=Path, metavar="CASE", help="read one case, and say how")
    parser.add_argument(
        "--folder", type=Path, default=_ROOT / ".fuzz", help="for cases and logs (default: .fuzz)"
    )
    arguments = parser.parse_args()
    for reader in arguments.readers:
        if reader not in TARGETS:
            parser.error(f"there is no reader {reader!r}; there are {', '.join(TARGETS)}")
    if arguments.seconds < 1:
        parser.error("--seconds must be 1 or more")
    if arguments.replay and len(arguments.readers) != 1:
        parser.error("--replay wants one READER")
    return arguments


def main() -> int:
    """Run it; 0 if nothing was found, 1 if something was."""
    arguments = _arguments()
    readers = arguments.readers or list(TARGETS)
    if arguments.replay:
        return _replay(readers[0], arguments.replay)
    n_found = 0
    for reader in readers:
        folder = (arguments.folder / reader).resolve()
        run = _fuzz(reader, folder, arguments.seconds, arguments.seed)
        found = sorted((folder / "findings").glob("*.txt"))
        n_found += len(found) + run.deaths
        kept = _keep(reader, folder) if arguments.keep else 0
        print(
            f"{reader}: {run.cases} cases in {run.seconds:.0f} s, {run.branches} branches reached, "
            f"{len(list((folder / 'endings').glob('*.txt')))} endings, {len(found)} findings, "
            f"{run.deaths} deaths" + (f", {kept} cases kept" if arguments.keep else ""),
            flush=True,
        )
        for story in found:
            print(f"  {story.read_text().splitlines()[0][:200]}\n    {story.with_suffix('.case')}")
    return min(n_found, 1)


def _fuzz(reader: str, folder: Path, seconds: int, seed: int) -> _Run:
    """Fuzz a reader for so long, in as many processes as it kills."""
    for name in ("corpus", "deaths"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for kind in ("endings", "findings"):
        for old in (folder / kind).glob("*"):
            old.unlink()
    target = TARGETS[reader]()
    for number, case in enumerate(target.seeds()):
        (folder / "corpus" / f"seed-{number}").write_bytes(case)
    began, run = time.monotonic(), _Run()
    while (left := seconds - int(time.monotonic() - began)) > 0:
        command = [
            *(sys.executable, "-m", "fuzzing.child", reader, str(folder)),
            *(f"-max_total_time={left}", f"-seed={seed + run.deaths}", "-max_len=65536"),
            *(f"-timeout={_LONGEST_CASE_S}", f"-rss_limit_mb={_LARGEST_RESIDENT_MB}"),
            f"-artifact_prefix={folder / 'deaths'}/",
            *("-print_final_stats=1", "-len_control=0", str(folder / "corpus")),
        ]
        seen = _ROOT / "tests" / "corpus" / reader
        if seen.is_dir():
            command.append(str(seen))
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        log = done.stderr.decode(errors="replace")
        (folder / f"log-{run.deaths}.txt").write_text(log)
        counts = re.findall(r"^#(\d+)\s.*?cov: (\d+)", log, re.MULTILINE)
        finished = re.search(r"number_of_executed_units: (\d+)", log)
        if counts:
            run.cases += int(finished[1]) if finished else int(counts[-1][0])
            run.branches = max(run.branches, int(counts[-1][1]))
        if done.returncode == 0:
            break
        run.deaths += 1
        print(
            f"  {reader}: the process ended with {done.returncode}:\n{log[-2000:]}", file=sys.stderr
        )
        if not counts:
            break  # it did not even begin
    run.seconds = time.monotonic() - began
    return run


def _keep(reader: str, folder: Path) -> int:
    """Copy the smallest case of each new ending to the corpus of the tests; how many there were."""
    corpus = _ROOT / "tests" / "corpus" / reader
    corpus.mkdir(parents=True, exist_ok=True)
    known = {path.name for path in corpus.iterdir()}
    n_kept = 0
    for kind in ("endings", "findings"):
        for case in sorted((folder / kind).glob("*.case")):
            name = slug(case.stem)[:60]
            if name and name not in known and case.stat().st_size <= _LARGEST_KEPT:
                (corpus / name).write_bytes(case.read_bytes())
                known.add(name)
                n_kept += 1
    return n_kept


def _replay(reader: str, path: Path) -> int:
    import tempfile

    from fuzzing.outcome import Finding, observe

    case, target = path.read_bytes(), TARGETS[reader]()
    with tempfile.TemporaryDirectory(prefix="plenostream-fuzz-") as work:
        try:
            print(observe(lambda: target.read(case, Path(work)), len(case)))
        except Finding as finding:
            print(f"finding: {finding.kind}\n{finding}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
