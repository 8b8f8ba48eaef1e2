"""SIGTERM and SIGHUP: what is open is closed as on Ctrl-C before they end the program."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

# Those that the system has.
_HEEDED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(BaseException):
    """A signal, whose `number` this is, asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def heed() -> None:
    """Raise `Stopped` on these signals, unless they are ignored, as `nohup` has it.

    A second one ends the program at once.
    """
    for number in _HEEDED:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def end(status: int) -> None:
    """End by the signal that an exit status stands for, 128 and its number, if it is such one.

    So whoever waits for the program learns that it was a signal.
    """
    number = status - 128
    if number in _HEEDED:
        with suppress(OSError):
            sys.stdout.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Stopped(number)
