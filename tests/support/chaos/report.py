"""What a chaos run did and found."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """What a run did and found.

    Args:
        seed: The seed that repeats it.
        services: What it ran on.
        seconds: How long the torment lasted.
    """

    seed: int
    services: str
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    produced: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    records: int = 0
    users: int = 0
    ratings: int = 0
    poison: int = 0
    dead_letters: int = 0
    settled: float = 0.0
    """Seconds from the end of the torment until the group had committed everything."""
    generations: int = 1
    groups: int = 1
    differences: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the promise was kept."""
        return not self.differences and not self.problems

    def table(self) -> str:
        """The figures, for people."""
        rows = [
            ("seed", str(self.seed)),
            ("services", self.services),
            ("seconds of torment", f"{self.seconds:g}"),
            ("faults", _counted(self.faults)),
            ("ended", _counted(self.kills)),
            ("produced", _counted(self.produced)),
            ("acknowledged", _counted(self.acknowledged)),
            ("records in the log", f"{self.records:,}"),
            ("collections", f"{self.generations}"),
            ("consumer groups", f"{self.groups}" + (", the first got stuck in the broker" if self.groups > 1 else "")),
            ("settled after", f"{self.settled:.1f} s"),
            ("users compared", f"{self.users:,} with {self.ratings:,} ratings"),
            ("poison", f"{self.poison:,} records, {self.dead_letters:,} dead letters"),
            ("differences", f"{len(self.differences):,}"),
            ("other problems", f"{len(self.problems):,}"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def failures(self, most: int = 10) -> str:
        """What is wrong, and how to repeat it; empty if nothing is.

        Args:
            most: How many of each kind at most.
        """
        if self.passed:
            return ""
        found = [*self.differences[:most], *self.problems[:most]]
        again = f"make chaos SEED={self.seed} SECONDS={self.seconds:g} SERVICES={self.services}"
        return "\n".join(["", *(f"- {each}" for each in found), f"The same faults and events again: {again}"])


def _counted(counter: Counter[str]) -> str:
    parts = [f"{number:,} {name}" for name, number in sorted(counter.items())]
    return f"{counter.total():,}: {', '.join(parts)}"
