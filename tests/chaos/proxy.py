"""What stands between workers and their database, and does not always keep its word."""

from __future__ import annotations

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

CHUNK = 1 << 16

# How long a COMMIT hangs that comes late: its client has long given up on it.
LATE = 0.5  # seconds


class CommitFate(StrEnum):
    """What becomes of the next COMMIT, after which the connection is cut."""

    UNSENT = "the server never hears of it"
    UNANSWERED = "it happens, and whoever asked for it does not hear so"
    LATE = "whoever asked for it has given up on it when it happens"


@dataclass(eq=False)
class Link:
    """A connection through the proxy."""

    client: StreamWriter
    server: StreamWriter
    is_mute: bool = False

    def cut(self) -> None:
        """End both halves at once."""
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """
    Pass on what clients and a server say, in a thread of its own.

    It knows a COMMIT when it hears one, from psycopg and from PyMySQL.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._links: set[Link] = set()
        self._fate: CommitFate | None = None
        self._has_met = threading.Event()
        self._swallows = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    # What may be asked of it, from any thread

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        """Cut what there is, and listen no more."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Cut all connections."""
        self._do(self._cut())

    def meet_next_commit(self, fate: CommitFate) -> None:
        """Let something become of the next COMMIT, whoever says it."""
        self._has_met.clear()
        self._fate = fate

    def has_met_one(self, *, within: float) -> bool:
        """Tell whether somebody said a COMMIT in so many seconds; else let it be."""
        has_met = self._has_met.wait(within)
        self._fate = None
        return has_met

    def swallow(self) -> None:
        """Let all that is said vanish."""
        self._swallows = True

    def spit_out(self) -> None:
        """Pass on again what is said, to whoever connects anew."""
        self._swallows = False
        self.cut()

    def _do(self, work: Awaitable[None]) -> None:
        asyncio.run_coroutine_threadsafe(_awaited(work), self._loop).result()

    # In its thread

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _cut(self) -> None:
        for link in list(self._links):
            link.cut()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # The server is down, and so is the way to it.
            writer.transport.abort()
            return
        link = Link(writer, server)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pass_on(link, reader, server, self._hear_client),
                self._pass_on(link, answers, writer, self._hear_server),
            )
        finally:
            self._links.discard(link)

    async def _pass_on(
        self,
        link: Link,
        source: StreamReader,
        target: StreamWriter,
        hear: Callable[[Link, bytes], Awaitable[bool]],
    ) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if not self._swallows and await hear(link, data):
                    target.write(data)
                    await target.drain()
        link.cut()

    async def _hear_client(self, link: Link, data: bytes) -> bool:
        """Tell whether to pass on what a client says."""
        if self._fate is None or not says_commit(data):
            return True
        fate, self._fate = self._fate, None
        self._has_met.set()
        if fate is CommitFate.UNSENT:
            link.cut()
            return False
        link.is_mute = True
        if fate is CommitFate.LATE:
            link.client.transport.abort()
            await asyncio.sleep(LATE)
        return True

    async def _hear_server(self, link: Link, data: bytes) -> bool:
        """Tell whether to pass on what the server says."""
        if link.is_mute:
            link.cut()
        return not link.is_mute


async def _awaited(work: Awaitable[None]) -> None:
    await work


def says_commit(data: bytes) -> bool:
    """Tell whether what a client says ends in COMMIT, and is not about AUTOCOMMIT."""
    return data.rstrip(b"\0; ").upper().endswith((b"\x03COMMIT", b"\0\0\0\x0bCOMMIT"))


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Have a proxy before a port of this machine."""
    proxy = Proxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
