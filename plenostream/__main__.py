#!python
"""The program: `plenostream`, and `python -m plenostream`.

It is installed as it is. An entry point that an installer writes imports a dozen modules before it
comes here, and Ctrl-C in the middle of that is a traceback: so signals wait from the first line on.
"""

import _signal  # type: ignore[import-not-found]

if __name__ == "__main__":
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP))

import sys  # noqa: E402

from plenostream.process.interrupts import watch  # noqa: E402

if __name__ == "__main__":
    watch()

    from plenostream.cli.main import main

    sys.exit(main())
