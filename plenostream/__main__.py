"""The program: `plenostream`, and `python -m plenostream`."""

from __future__ import annotations

# Before all else: what comes before it is a traceback when Ctrl-C is pressed. Not "from plenostream",
# which asks the package first, whose answer takes a dozen modules more.
import plenostream.process.interrupts as interrupts  # noqa: PLR0402

if __name__ in ("__main__", "plenostream.__main__"):
    interrupts.watch()

import sys

from plenostream.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
