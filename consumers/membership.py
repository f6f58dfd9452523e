"""This process's part in the consumer group, and whether it can do its work."""

import asyncio
from time import monotonic, time
from typing import TYPE_CHECKING

import structlog

from kindred.errors import UnavailableError
from kindred.telemetry import IN_HAND_SECONDS, OLDEST_SECONDS, READY, RETRIES

if TYPE_CHECKING:
    from kindred.eventlog.consumer import EventConsumer

log = structlog.get_logger(__name__)

_SAY_AGAIN_SECONDS = 30.0


class Membership:
    """What is known of the consumer from outside.

    Args:
        unready_after: Seconds of failures after which it is not ready.
    """

    def __init__(self, unready_after: float) -> None:
        self.joined = asyncio.Event()
        """Set once the group has given it partitions."""
        self.member: EventConsumer | None = None
        """The member; None while it waits for the broker."""
        self.stopped = False
        """Whether the log was found to be poisoned: it applies nothing more."""
        self._unready_after = unready_after
        self._failing_since: float | None = None
        self._said = 0.0
        self._oldest: float | None = None
        self._in_hand_since: float | None = None
        READY.set_function(lambda: float(self.ready))
        OLDEST_SECONDS.set_function(lambda: self.oldest_unapplied)
        IN_HAND_SECONDS.set_function(lambda: self.in_hand_seconds)

    @property
    def ready(self) -> bool:
        """Whether it is in the group, and can apply what it reads or could a moment ago."""
        member = self.member
        if member is None or self.stopped:
            return False
        if self._failing_since is not None:
            return monotonic() - self._failing_since < self._unready_after
        if self._in_hand_since is not None:  # it is at work, and polls nothing
            return monotonic() - self._in_hand_since < member.poll_interval
        return monotonic() - member.in_group_at < self._unready_after

    @property
    def in_hand_seconds(self) -> float:
        """How long ago the events were read that are not applied yet; 0 if there are none."""
        since = self._in_hand_since
        return 0.0 if since is None else monotonic() - since

    @property
    def oldest_unapplied(self) -> float:
        """Age of the oldest event that was read and is not applied yet, in seconds by its record's time; 0 if none."""
        oldest = self._oldest
        return 0.0 if oldest is None else max(0.0, time() - oldest)

    def begins(self, oldest_ms: int) -> None:
        """It has events to apply.

        Args:
            oldest_ms: The time of the oldest one's record, in milliseconds since 1970.
        """
        self._oldest = oldest_ms / 1000
        self._in_hand_since = monotonic()

    def works(self) -> None:
        """It has just applied what it had read."""
        self._oldest = self._in_hand_since = None
        if self._failing_since is not None:
            log.info("applying events again", after_seconds=round(monotonic() - self._failing_since, 1))
            self._failing_since = None

    def fails(self, error: UnavailableError) -> None:
        """It cannot go on, and tries again. Said at once, and then now and then."""
        RETRIES.labels(error.service).inc()
        now = monotonic()
        if self._failing_since is None:
            self._failing_since = now
            self._said = 0.0
        if now - self._said >= _SAY_AGAIN_SECONDS:
            self._said = now
            log.warning(
                "cannot go on, trying again",
                service=error.service,
                error=str(error),
                since_seconds=round(now - self._failing_since, 1),
            )

    async def progress(self, written: int) -> int | None:
        """How far the log and the writing have come, if counting is this process's turn: it has the first partition.

        Args:
            written: How many users this process has written.

        Raises:
            UnavailableError: The broker is away.
        """
        member = self.member
        return await member.log_end() + written if member is not None and 0 in member.partitions else None
