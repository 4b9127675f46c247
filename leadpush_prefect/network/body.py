"""A response's body: decompressed, counted, and never held past the limit.

The decompression is ours, and not the HTTP library's, for three reasons: aiohttp takes a gzip stream that was
cut off for a whole one, gives up on the head of a response that names an encoding it does not know, and
decodes what was not asked for (220 bytes of brotli become one chunk of 256 MB).
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.wire import TransportFailed

__all__ = ["EXCERPT_BYTES", "WholeBody", "bounded", "read_excerpt", "read_whole"]

EXCERPT_BYTES = 4096
"""How much is read of a response that is not a success."""

MAX_GZIP_MEMBERS = 1000
"""Each member costs a copy of what follows it."""

STEP_BYTES = 2**18
"""How much is decompressed at a time: zlib holds it twice while it does."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB, _GZIP, _RAW_DEFLATE = zlib.MAX_WBITS, zlib.MAX_WBITS | 16, -zlib.MAX_WBITS


class WholeBody:
    """A body that is to be read to its end, chunk by chunk.

    Args:
        encoding: The response's `Content-Encoding`, or nothing.
        length: The response's `Content-Length`, if it has one.
        limit: How many bytes it may have, decompressed.

    Raises:
        TransportFailed: `response_too_large`, if its length says so; `response_encoding_unsupported`.
    """

    __slots__ = ("_decoder", "_first", "_limit", "_more")

    def __init__(self, *, encoding: str, length: str | None, limit: int) -> None:
        self._decoder = _decoder_for(encoding)
        self._limit = limit
        self._first = b""  # most have but one chunk, which need not be copied
        self._more = bytearray()  # a list of chunks of a byte or two would take many times their size
        if self._decoder is None:
            bounded(b"", length=length, limit=limit)

    def add(self, chunk: bytes) -> None:
        """Take a chunk as it came from the wire.

        Raises:
            TransportFailed: `response_too_large`, as soon as it is known; `protocol_error`, if the compressed
                data are damaged.
        """
        size = len(self._first) + len(self._more)
        if self._decoder is None:
            if size + len(chunk) > self._limit:
                raise _too_large(self._limit)
            if size:
                self._more += chunk
            else:
                self._first = chunk
            return
        # One byte more than may come is enough to know that there are too many.
        self._decoder.decode(chunk, self._more, self._limit - size + 1)
        if len(self._more) > self._limit:
            raise _too_large(self._limit)

    def finish(self) -> bytes:
        """All of it.

        Raises:
            TransportFailed: `disconnected`, if the compressed data are cut off.
        """
        if self._decoder is not None:
            self._decoder.finish()
        return b"".join((self._first, self._more)) if self._more else self._first


async def read_whole(chunks: AsyncIterable[bytes], *, encoding: str, length: str | None, limit: int) -> bytes:
    """Read a body to its end, as `WholeBody` says.

    Args:
        chunks: The body as it comes from the wire, before decompression.
        encoding: The response's `Content-Encoding`, or nothing.
        length: The response's `Content-Length`, if it has one.
        limit: How many bytes it may have, decompressed.

    Raises:
        TransportFailed: as `WholeBody` does.
    """
    body = WholeBody(encoding=encoding, length=length, limit=limit)
    async for chunk in chunks:
        body.add(chunk)
    return body.finish()


async def read_excerpt(chunks: AsyncIterable[bytes], into: bytearray, *, encoding: str) -> bool:
    """Read the beginning of a body into `into`, which keeps what has come if the rest does not come.

    Returns:
        Whether that is all of it.

    Raises:
        TransportFailed: as `read_whole` does, for the encoding.
    """
    decoder = _decoder_for(encoding)
    async for chunk in chunks:
        room = EXCERPT_BYTES - len(into)
        if decoder is not None:
            decoded = bytearray()
            decoder.decode(chunk, decoded, room + 1)
            chunk = bytes(decoded)
        into += chunk[:room]
        if len(chunk) > room:  # and not at the exact end, after which the connection could be used again
            return False
    return True


def bounded(body: bytes, *, length: str | None, limit: int) -> bytes:
    """A body that is there already and not compressed, if it and its length are within the limit.

    Raises:
        TransportFailed: `response_too_large`.
    """
    if len(body) > limit or (length is not None and _exceeds(length, limit)):
        raise _too_large(limit)
    return body


def _exceeds(length: str, limit: int) -> bool:
    # Python turns no more than 4,300 digits into a number.
    return length.isascii() and length.isdecimal() and (len(length) > 18 or int(length) > limit)


def _too_large(limit: int) -> TransportFailed:
    message = f"The response is larger than {limit:,} bytes."
    return TransportFailed(Reason.RESPONSE_TOO_LARGE, message, sent=True)


def _decoder_for(encoding: str) -> _Decoder | None:
    """What undoes a `Content-Encoding` (RFC 9110, section 8.4.1); None where there is nothing to undo."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Decoder("gzip")
        case "deflate":
            return _Decoder("deflate")
    message = f"The response has the Content-Encoding {encoding[:40]!r}."
    raise TransportFailed(Reason.RESPONSE_ENCODING_UNSUPPORTED, message, sent=True)


class _Decoder:
    """Decompresses gzip (RFC 1952, several members too) or deflate (RFC 1950, or bare as some send it)."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._members = 0
        self._stream = zlib.decompressobj(_GZIP)
        self._started = False

    def decode(self, data: bytes, into: bytearray, limit: int) -> None:
        """Add at most `limit` bytes, which is over 0; what is left of `data` when they are reached, is lost."""
        end = len(into) + limit
        more = bool(data)
        while more and len(into) < end and self._has_stream_for(data):
            room = min(end - len(into), STEP_BYTES)
            try:
                decoded = self._stream.decompress(data, room)
            except zlib.error:
                raise self._damaged() from None
            into += decoded
            data = self._stream.unconsumed_tail or self._stream.unused_data
            # It may have taken all of the data, and still have something to give.
            more = bool(data) or (len(decoded) == room and not self._stream.eof)

    def finish(self) -> None:
        """Say that no more data come."""
        if self._started and not self._stream.eof:
            message = f"The response's {self._name} data end before they are complete."
            raise TransportFailed(Reason.DISCONNECTED, message, sent=True)

    def _has_stream_for(self, data: bytes) -> bool:
        """See to it that there is a stream for the data; for padding after the last one there is none."""
        if not self._started:
            self._started = True
            self._stream = zlib.decompressobj(self._window_bits(data[0]))
        elif self._stream.eof:
            if self._name != "gzip" or not _GZIP_MAGIC.startswith(data[:2]):
                return False
            self._members += 1
            self._stream = zlib.decompressobj(_GZIP)
        if self._members > MAX_GZIP_MEMBERS:
            raise self._damaged()
        return True

    def _window_bits(self, first_byte: int) -> int:
        if self._name == "gzip":
            return _GZIP
        return _ZLIB if first_byte & 0x0F == 8 else _RAW_DEFLATE  # a zlib header names its method, 8

    def _damaged(self) -> TransportFailed:
        message = f"The response's {self._name} data are damaged."
        return TransportFailed(Reason.PROTOCOL_ERROR, message, sent=True)
