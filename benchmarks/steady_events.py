"""Writes rating events at a steady rate until it is killed.

`python -m benchmarks.steady_events KAFKA TOPIC RATE [FILE]`. They are of ten thousand users of its own. With a FILE, a
JSON list of [user id, item id], they are of these users, who rate these items: if they have before, no profile grows.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kafka import KafkaProducer


def main(kafka: str, topic: str, rate: int, choose: Callable[[random.Random], Sequence[str]]) -> None:
    """Writes them, each at its own time.

    Args:
        kafka: The bootstrap server.
        topic: The topic.
        rate: Events a second.
        choose: The next user id and item id.
    """
    rng = random.Random(3)  # noqa: S311  # the same events in every run
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=0)
    start = time.perf_counter()
    sent = 0
    while True:
        user_id, item_id = choose(rng)
        event = {"userId": user_id, "rated": {"itemId": item_id, "value": rng.randrange(1, 6)}}
        producer.send(topic, json.dumps(event).encode(), user_id.encode())
        sent += 1
        if (ahead := start + sent / rate - time.perf_counter()) > 0:
            time.sleep(ahead)


def _one_of_a_crowd(rng: random.Random) -> tuple[str, str]:
    return f"crowd-{rng.randrange(10_000)}", str(rng.randrange(1, 1_600))


def _one_of(pairs: Sequence[Sequence[str]]) -> Callable[[random.Random], Sequence[str]]:
    return lambda rng: rng.choice(pairs)


if __name__ == "__main__":
    chosen = _one_of(json.loads(Path(sys.argv[4]).read_text())) if sys.argv[4:] else _one_of_a_crowd
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), chosen)
