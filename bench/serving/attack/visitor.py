"""An attacker's connections to the server, and the count of what the server answered."""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

ADDRESS = "127.0.0.2"
"""Of the attackers; the honest client's is 127.0.0.1."""
_REOPEN_S = 1.0
_SMALLEST_BUFFER = 2048
_RESET = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which closing a connection resets it."""
_BEFORE_RESET_S = 0.02
_STATUS_END = len("HTTP/1.1 200")

Buffer = bytes | memoryview
Ended = str
"""How a connection ended: an HTTP status, or words."""


@dataclass
class Visitor:
    """Opens connections to the port of a server until ``ends``, a time of the event loop; ``got`` counts their ends."""

    port: int
    ends: float
    got: Counter[Ended] = field(default_factory=Counter)

    async def visit(self, parts: Iterable[Buffer], pause_s: float = 0.0, *, read_slowly: bool = False) -> None:
        """Send ``parts`` on a new connection, with pauses after each, and wait until the server closes it."""
        connection = await self._connect(read_slowly)
        if connection is None:
            return
        reader, writer = connection
        sending = asyncio.create_task(_send(writer, parts, pause_s))
        try:
            self.got[await self._answer(reader, pause_s if read_slowly else 0.0)] += 1
        finally:
            sending.cancel()
            writer.transport.abort()

    async def tear(self, part: bytes) -> None:
        """Send ``part`` on a new connection and reset it."""
        connection = await self._connect(read_slowly=False)
        if connection is None:
            return
        _, writer = connection
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.write(part)
        await asyncio.sleep(_BEFORE_RESET_S)
        writer.transport.abort()
        self.got["torn"] += 1

    async def rounds(self, every_s: float, at_once: int, visit: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Start ``at_once`` visits every ``every_s`` seconds, whether or not the ones before have ended."""
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        async with asyncio.TaskGroup() as group:
            while (start := began + number // at_once * every_s) < self.ends:
                await asyncio.sleep(start - loop.time())
                group.create_task(visit(number))
                number += 1

    async def held(self, count: int, parts: Callable[[], Iterable[Buffer]], pause_s: float = 0.0) -> None:
        """Keep ``count`` connections open; one that the server closes is opened again a second later."""

        async def keep() -> None:
            while asyncio.get_running_loop().time() < self.ends:
                await self.visit(parts(), pause_s)
                await asyncio.sleep(_REOPEN_S)

        await asyncio.gather(*(keep() for _ in range(count)))

    async def _connect(self, read_slowly: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A new connection; None, and counted, where there is none."""
        connection = socket.socket()
        connection.setblocking(False)
        if read_slowly:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALLEST_BUFFER)
        try:
            connection.bind((ADDRESS, 0))
            async with asyncio.timeout_at(self.ends):
                await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        except (OSError, TimeoutError) as error:
            self.got["not connected in time" if isinstance(error, TimeoutError) else "refused"] += 1
            connection.close()
            return None
        return await asyncio.open_connection(sock=connection, limit=_SMALLEST_BUFFER)

    async def _answer(self, reader: asyncio.StreamReader, pause_s: float) -> Ended:
        """How the connection ended; with ``pause_s``, a byte is read after each pause."""
        start = b""
        try:
            async with asyncio.timeout_at(self.ends):
                while part := await reader.read(1 if pause_s else 2**16):
                    start = (start + part)[:_STATUS_END]
                    await asyncio.sleep(pause_s)
        except TimeoutError:
            return f"{_status(start)}, not ended" if start else "open to the end"
        except ConnectionError:
            return _status(start) if start else "reset"
        return _status(start) if start else "closed"


def _status(start: bytes) -> str:
    return start[9:].decode("ascii", "replace") if len(start) == _STATUS_END else "part of a status"


async def _send(writer: asyncio.StreamWriter, parts: Iterable[Buffer], pause_s: float) -> None:
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
