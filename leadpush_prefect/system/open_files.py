"""How many files this process may have open, and how many of them its requests may take."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Files", "is_a_file_left", "is_out_of_files", "room_for_sockets"]

RESERVE = 128
"""So many files stay free for all else: Prefect's client, databases, logs, name resolution."""

AT_LEAST = 16

AS_GOOD_AS_ENDLESS = 1_000_000

MACOS_LIMIT = 10_240
"""What macOS grants where the hard limit is said to be endless."""


class Files(NamedTuple):
    """What requests may take.

    Attributes:
        sockets: How many sockets may be open at once.
        highest: A socket whose number is higher takes from what is left for all else. The system gives the lowest
            number that is free.
    """

    sockets: int
    highest: int


def room_for_sockets() -> Files:
    """Raise the limit of open files as far as this process may, and say how many are for sockets."""
    if sys.platform == "win32":
        return Files(AS_GOOD_AS_ENDLESS, AS_GOOD_AS_ENDLESS)
    limit, now = _raised_limit(), _open_now()
    sockets = max(AT_LEAST, limit - RESERVE - now)
    return Files(sockets, now + sockets)


def _raised_limit() -> int:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft == endless:
        return AS_GOOD_AS_ENDLESS
    for wanted in (hard, MACOS_LIMIT):
        if wanted != endless and wanted <= soft:
            continue
        with suppress(ValueError, OSError):  # it is not granted: the former limit stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return AS_GOOD_AS_ENDLESS if soft == endless else soft


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return RESERVE


def is_a_file_left() -> bool:
    """Whether one more file can be opened now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return not is_out_of_files(error)
    return True


def is_out_of_files(error: BaseException | None) -> bool:
    """Whether an error comes from there being no file left, for this process or on this machine.

    What connects to several addresses tells what became of all of them in one text.

    >>> is_out_of_files(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    True
    >>> is_out_of_files(OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)))
    False
    """
    if not isinstance(error, OSError):
        return False
    numbers = (errno.EMFILE, errno.ENFILE)
    return error.errno in numbers or any(os.strerror(number) in str(error) for number in numbers)
