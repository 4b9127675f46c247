"""One parse at a time.

CPython 3.11 and 3.12 keep the depth of the parser's stack once for all threads (python/cpython#106905), so that
`ast.parse` raises "AST constructor recursion depth mismatch" where another thread parses too. Many do, in tests: each
traceback that is logged is parsed for its carets, as is each module that pytest rewrites, and each lambda of a strategy.
"""

from __future__ import annotations

import ast
import sys
import threading
from functools import wraps
from typing import Any

__all__ = ["parse_one_at_a_time"]

_lock = threading.RLock()


def parse_one_at_a_time() -> None:
    """Let threads wait for each other at `ast.parse`, where Python needs it."""
    if sys.version_info >= (3, 13):
        return
    parse = ast.parse

    @wraps(parse)
    def parse_alone(*arguments: Any, **options: Any) -> Any:
        with _lock:
            return parse(*arguments, **options)

    ast.parse = parse_alone
