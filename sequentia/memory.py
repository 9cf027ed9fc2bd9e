"""Memory that is freed stays with the process."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of glibc's options, from its malloc.h


def keep_freed_memory() -> bool:
    """Ask the C library not to give freed memory back to the system, which fills each page with zeros to give it anew.

    A step frees and takes the same tens of megabytes: what glibc's own limits cost is in benchmarks/RESULTS.md, Gains.

    Returns:
        Whether it was done: other C libraries have no such option.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    # The second is the most that glibc's manual allows: larger blocks are pages of their own as ever.
    return bool(libc.mallopt(_TRIM_THRESHOLD, 2**30) and libc.mallopt(_MMAP_THRESHOLD, 2**25))
