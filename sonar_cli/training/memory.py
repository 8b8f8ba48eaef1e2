"""Memory on the CPU: what a step has freed is kept for the next one."""

from __future__ import annotations

import ctypes

# glibc's mallopt(3): sizes from which memory comes from the system and goes back to it, and what
# is taken at a time.
_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2


def keep_freed() -> bool:
    """Let this process keep freed memory; tell whether its C library can be told so.

    A training step takes the same large blocks again and again. By default glibc gives them back
    each time, and the system hands them out anew page by page, which costs a tenth of a step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return False
    options = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1, _TOP_PAD: 1 << 26}
    return all([bool(mallopt(name, value)) for name, value in options.items()])
