"""Runs chaos from the command line: `python -m tests.support.chaos --seconds 60 --seed 7 --services kafka`."""

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from tests.support.apache_kafka.jars import KafkaUnavailableError, java, kafka_jars
from tests.support.chaos.run import chaos


def main() -> int:
    """Runs it, and prints the report; 0 if the promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the torment lasts")
    parser.add_argument("--seed", type=int, help="decides on faults and events; a fresh one if left out")
    parser.add_argument(
        "--services",
        choices=("auto", "kafka", "embedded"),
        default="auto",
        help="kafka: Apache Kafka from its jars, which fails as well; embedded: Tansu; auto: kafka where it can be had",
    )
    parser.add_argument("--keep", type=Path, help="an empty folder to keep everybody's files in")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    services = _which() if options.services == "auto" else options.services
    print(f"chaos: SEED={seed} SECONDS={options.seconds:g} SERVICES={services}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kindred-chaos-") as temporary:
        folder = Path(options.keep or temporary)
        try:
            report = asyncio.run(chaos(folder, services, seed, options.seconds))
        except BaseException:
            print(f"broken off: SEED={seed} SECONDS={options.seconds:g} SERVICES={services}", flush=True)
            raise
    print(report.table())
    print(report.failures(), flush=True)
    return 0 if report.passed else 1


def _which() -> str:
    try:
        java()
        kafka_jars()
    except KafkaUnavailableError:
        return "embedded"
    return "kafka"


if __name__ == "__main__":
    sys.exit(main())
