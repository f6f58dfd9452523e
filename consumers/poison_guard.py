"""Tells a producer gone wrong from single bad events: a circuit breaker."""

from collections import Counter, deque
from collections.abc import Collection, Sequence

from kindred.errors import PoisonedLogError
from kindred.eventlog.broker import Record
from kindred.events import EventError

WINDOW = 100
"""So many events are looked at, over as many batches as they take."""
SURE = 20
"""So many are enough if not one of them is good."""


class PoisonGuard:
    """Watches how many of the last events can never be applied.

    Args:
        share: The share above which it is too much; at 1 nothing is.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._last: deque[bool] = deque(maxlen=WINDOW)

    def check(self, records: Sequence[Record], letters: Sequence[tuple[Record, EventError]]) -> None:
        """Looks at a batch, together with what came before it if it is small.

        Args:
            records: The batch.
            letters: What of it can never be applied, and why.

        Raises:
            PoisonedLogError: Too much of it. Nothing of the batch may be committed or made a dead letter.
        """
        earlier = list(self._last)[-max(WINDOW - len(records), 0) :] if len(records) < WINDOW else []
        seen, bad = len(earlier) + len(records), sum(earlier) + len(letters)
        most = seen >= WINDOW and bad > self._share * seen
        # Right after a start there is no window yet: nothing but poison is enough.
        nothing_else = SURE <= seen == bad and self._share < 1
        if letters and (most or nothing_else):
            raise PoisonedLogError(records[0].topic, _explained(records[0].topic, seen, bad, letters))

    def passed(self, records: Sequence[Record], letters: Collection[tuple[Record, EventError]]) -> None:
        """Notes a batch that was applied and committed."""
        places = {(record.partition, record.offset) for record, _ in letters}
        self._last.extend((record.partition, record.offset) in places for record in records)


def _explained(topic: str, seen: int, bad: int, letters: Sequence[tuple[Record, EventError]]) -> str:
    reasons = Counter(error.reason for _, error in letters)
    first, error = letters[0]
    return (
        f"{bad:,} of the last {seen:,} events of {topic} cannot be applied "
        f"({', '.join(f'{reason} {count:,}' for reason, count in reasons.most_common())}); the first of this batch, "
        f"partition {first.partition} offset {first.offset}: {error}. That is a wrong topic or a producer gone wrong, "
        "so the consumer stops; nothing of this batch was committed or made a dead letter. Mend what is wrong and "
        "start again; or start with KINDRED_POISON_SHARE=1, which makes dead letters of all that cannot be applied"
    )
