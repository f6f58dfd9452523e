"""How a long task tells how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Follows a task through its stages, one after the other."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins, and the one before it is over.

        Args:
            name: What is done, for people.
            total: How much there is to do, in a unit of its own; None if that is not known.
        """

    def advance(self, amount: int) -> None:
        """So much more of the stage is done."""


class NoProgress:
    """Shows nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """See `Progress.stage`."""

    def advance(self, amount: int) -> None:
        """See `Progress.advance`."""
