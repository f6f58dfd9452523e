"""The open streams of WatchRecommendations: how many there may be, and how they end with the server."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kindred.errors import ResourceExhaustedError
from kindred.freshness import Watch


class Watches:
    """Counts the streams of a process, and ends them all when it stops.

    Args:
        most: Open streams at most.
        most_per_caller: Open streams of one caller's address at most.
    """

    def __init__(self, most: int, most_per_caller: int) -> None:
        self._most = most
        self._most_per_caller = most_per_caller
        self._callers: Counter[str] = Counter()
        self._waiting: set[Watch] = set()
        self._closing = asyncio.Event()

    @contextmanager
    def admitted(self, peer: str) -> Iterator[None]:
        """Counts a stream for as long as the context lasts.

        Args:
            peer: The caller, as gRPC names it: `ipv4:127.0.0.1:54321`.

        Raises:
            ResourceExhaustedError: There are too many.
        """
        caller = peer.rpartition(":")[0] or peer
        if self._callers.total() >= self._most:
            raise ResourceExhaustedError(
                f"this server has {self._most:,} open streams of WatchRecommendations, as many as it takes "
                "(KINDRED_MAX_WATCHES); try another server, or later"
            )
        if self._callers[caller] >= self._most_per_caller:
            raise ResourceExhaustedError(
                f"{self._most_per_caller:,} streams of WatchRecommendations are open from this address, as many as one "
                "may have (KINDRED_MAX_WATCHES_PER_CALLER); end one first"
            )
        self._callers[caller] += 1
        try:
            yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    async def next(self, watch: Watch, not_before: float) -> bool:
        """Waits until a user may have changed.

        Args:
            watch: On the user.
            not_before: When to go on at the earliest, on the loop's clock: what changes until then is one change.

        Returns:
            False if the server is stopping: the stream is to end.
        """
        self._waiting.add(watch)
        try:
            if not self._closing.is_set():
                await watch.changed.wait()
        finally:
            self._waiting.discard(watch)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(not_before):
                await self._closing.wait()
        watch.changed.clear()
        return not self._closing.is_set()

    async def until_closing(self) -> None:
        """Waits until the server is stopping."""
        await self._closing.wait()

    def close(self) -> None:
        """Ends every stream."""
        self._closing.set()
        for watch in self._waiting:
            watch.changed.set()
