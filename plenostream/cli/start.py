#!python
# The program `plenostream`, as it is installed. An entry point that an installer writes imports half
# a dozen modules first, and Ctrl-C in the middle of that is a traceback: so signals wait from here on.
import _signal  # type: ignore[import-not-found]

_signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP))

import sys  # noqa: E402

from plenostream.__main__ import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
