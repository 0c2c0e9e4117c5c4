"""One reader under libFuzzer, in a process of its own: `python -m fuzzing.child READER FOLDER ...`.

Whatever a case shows goes into FOLDER at once, since libFuzzer ends the process as it likes:
``findings/`` what must not happen, a case and its story each; ``endings/`` the smallest case for
each way in which reading ended.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["plenostream"]):
    from fuzzing.outcome import Finding, observe, slug
    from fuzzing.targets import TARGETS

_MOST_FINDINGS = 200


class _Recorder:
    """Keeps the smallest case of each kind of ending and finding."""

    def __init__(self, folder: Path, work: Path) -> None:
        self._folder, self._work = folder, work
        self._sizes: dict[tuple[str, str], int] = {}
        for kind in ("endings", "findings"):
            (folder / kind).mkdir(parents=True, exist_ok=True)

    def ending(self, text: str, case: bytes) -> None:
        """Reading `case` ended as it may."""
        self._keep("endings", slug(text, folder=self._work), case, text)

    def finding(self, finding: Finding, case: bytes) -> None:
        """Reading `case` ended as it must not."""
        self._keep("findings", slug(finding.kind, folder=self._work), case, str(finding))

    def _keep(self, kind: str, name: str, case: bytes, text: str) -> None:
        known = self._sizes.get((kind, name))
        if known is None and len(self._sizes) >= _MOST_FINDINGS * 4:
            return
        if known is None or len(case) < 0.8 * known:
            self._sizes[kind, name] = len(case)
            (self._folder / kind / f"{name}.case").write_bytes(case)
            (self._folder / kind / f"{name}.txt").write_text(text + "\n", errors="replace")


def main() -> None:
    """Fuzz until libFuzzer has had its time."""
    name, folder, *options = sys.argv[1:]
    target = TARGETS[name]()
    with tempfile.TemporaryDirectory(prefix="plenostream-fuzz-") as work:
        recorder = _Recorder(Path(folder), Path(work))

        def one(case: bytes) -> None:
            try:
                ending = observe(lambda: target.read(case, Path(work)), len(case))
            except Finding as finding:
                recorder.finding(finding, case)
            else:
                recorder.ending(ending, case)

        def mutate(case: bytes, most: int, seed: int) -> bytes:
            def raw(content: bytes) -> bytes:
                return bytes(atheris.Mutate(content, max(len(content) + 64, 64)))

            return target.mutate(case, random.Random(seed), raw)[:most]

        atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutate, internal_libfuzzer=True)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
