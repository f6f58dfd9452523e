"""Where everything random of a chaos run comes from: one seed, and a name for each use of it."""

import random


def seeded(seed: int, name: str) -> random.Random:
    """A generator that depends on nothing but the seed and a name, so that uses do not disturb one another."""
    return random.Random(f"{seed}/{name}")  # noqa: S311  # it decides what a test does
