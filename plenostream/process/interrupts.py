"""Ctrl-C, and what else tells the program to end: taken by a thread that does nothing else.

Python raises `KeyboardInterrupt` between any two instructions of the main thread. There it gets
lost in callbacks (XLA has one in every garbage collection), is a traceback while modules are being
imported, and cuts off the wait for a compilation, which goes on in a thread of XLA: the client that
it uses is taken apart when the interpreter ends, and that is a segmentation fault. In a long
call into a library it waits for the end of it.

So these signals are blocked, in the main thread before it starts any other, and a thread waits
for them. It removes what is entered in `leftovers` and ends the process at once: the interpreter is
not taken apart, and other threads may still be working. Work that ends well by itself is asked to
first (`stopping`).
"""

from __future__ import annotations

# First, and not `signal`, which takes 8 ms to load: until they are blocked signals raise.
import _signal  # type: ignore[import-not-found]

__all__ = ["watch"]

_TAKEN = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
_STDERR = 2


_ATTEMPTS = 3
"""Times that what answers a signal is imported."""


def watch() -> None:
    """Have a thread answer Ctrl-C, SIGTERM and SIGHUP from now on: exit code 128 + signal.

    For programs, in the main thread, before anything else is imported. A signal that was ignored
    when the program was started (``nohup``, a job in the background) stays ignored.
    """
    # Those that whoever started us left as they are; Python has put a handler of its own for SIGINT.
    as_ever = (_signal.SIG_DFL, _signal.default_int_handler)
    taken = [number for number in _TAKEN if _signal.getsignal(number) in as_ever]
    _signal.pthread_sigmask(_signal.SIG_BLOCK, taken)

    import threading

    threading.Thread(target=_wait, args=(taken,), name="plenostream-signals", daemon=True).start()


def _wait(taken: list[int]) -> None:
    import os
    import threading

    for left in reversed(range(_ATTEMPTS)):
        try:
            from plenostream.process.leftovers import clear_away
            from plenostream.process.stopping import ask_to_stop
        except (ImportError, RuntimeError):
            # Python 3.13 lets no module be imported while it ends, which a short program may do already.
            if not threading.main_thread().is_alive():
                return
            # And while the main thread imports, too, 3.13.0 may see a module of its own that is not whole: 4 of
            # 200 starts had no `collections.abc.Mapping`. Without this thread, no signal would be answered.
            if not left:
                raise
        else:
            break

    def tell(words: str) -> None:
        try:
            # Past Python's own buffer, whose lock the main thread may hold.
            os.write(_STDERR, f"\nplenostream: {words}\n".encode())
        except OSError:
            pass  # there is nobody to tell

    number = int(_signal.sigwait(taken))
    while number == _signal.SIGINT and ask_to_stop():
        tell("coming to an end; Ctrl-C again ends at once")
        number = int(_signal.sigwait(taken))
    clear_away()
    tell("interrupted" if number == _signal.SIGINT else "told to end")
    os._exit(128 + number)
