"""Writes rating events at a steady rate until it is killed: `python -m benchmarks.steady_events KAFKA TOPIC RATE`."""

import json
import random
import sys
import time

from kafka import KafkaProducer


def main(kafka: str, topic: str, rate: int) -> None:
    """Writes them, spread over ten thousand users of its own, each at its own time."""
    rng = random.Random(3)  # noqa: S311  # the same events in every run
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=0)
    start = time.perf_counter()
    sent = 0
    while True:
        user_id = f"crowd-{rng.randrange(10_000)}"
        event = {"userId": user_id, "rated": {"itemId": str(rng.randrange(1, 1_600)), "value": rng.randrange(1, 6)}}
        producer.send(topic, json.dumps(event).encode(), user_id.encode())
        sent += 1
        if (ahead := start + sent / rate - time.perf_counter()) > 0:
            time.sleep(ahead)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
