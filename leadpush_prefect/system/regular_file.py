"""Opening what must be a file: a pipe or a device in its place would keep the reader waiting, or never end."""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISREG

__all__ = ["open_regular"]


def open_regular(path: str, flags: int) -> int:
    """An `opener` of the built-in `open`.

    Raises:
        OSError: if it cannot be opened, or is none.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    mode = os.fstat(descriptor).st_mode
    if S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "It is a pipe or a device, and no file", path)
