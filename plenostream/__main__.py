"""`python -m plenostream`."""

from __future__ import annotations

import sys

from plenostream.cli import main

if __name__ == "__main__":
    sys.exit(main())
