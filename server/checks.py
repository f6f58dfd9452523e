"""Checks requests before anything is done: every field that is wrong is named, all at once."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from google.protobuf.message import Message

from kindred.errors import FieldViolation, InvalidArgumentError
from kindred.items import check_id


@cache
def _numbers_of(enum: Any) -> frozenset[int]:
    return frozenset(enum.values())


class Checks:
    """Collects what is wrong with a request; `done` raises it."""

    def __init__(self) -> None:
        self.violations: list[FieldViolation] = []

    def wrong(self, field: str, description: str) -> None:
        """Notes that a field is wrong."""
        self.violations.append(FieldViolation(field, description))

    def id(self, value: str, field: str) -> None:
        """An id: 1 to 256 characters, no control characters."""
        self.violations += check_id(value, field)

    def ids(self, values: Sequence[str], field: str, most: int, *, least: int = 1) -> None:
        """A list of ids, bounded in length."""
        if self.count(values, field, most, least=least):
            for place, value in enumerate(values):
                self.id(value, f"{field}[{place}]")

    def count(self, values: Sequence[object], field: str, most: int, *, least: int = 1) -> bool:
        """A list that is neither too short nor too long."""
        if least <= len(values) <= most:
            return True
        self.wrong(field, f"has {len(values):,} entries, must have {least} to {most:,}")
        return False

    def unique(self, values: Sequence[object], field: str, *, within: str = "") -> None:
        """A list in which nothing stands twice.

        Args:
            values: What may not repeat.
            field: The list's path.
            within: The path below each entry, for instance `.item_id`.
        """
        seen: dict[object, int] = {}
        for place, value in enumerate(values):
            if value in seen:
                self.wrong(f"{field}[{place}]{within}", f"is the same as {field}[{seen[value]}]{within}")
            seen.setdefault(value, place)

    def bounded(self, message: Message, field: str, most: int, default: int, *, above: str = "") -> int:
        """An optional number from 1 on.

        Args:
            message: The message that has it.
            field: Its name.
            most: The largest value allowed.
            default: What it is if it was left out.
            above: The path of the message, with a dot.
        """
        value: int = getattr(message, field) if message.HasField(field) else default
        if not 1 <= value <= most:
            self.wrong(above + field, f"is {value:,}, must be 1 to {most:,}")
        return value

    def known(self, value: int, enum: Any, field: str) -> None:
        """A value that its enum has in this version."""
        if value not in _numbers_of(enum):
            self.wrong(field, f"has the unknown value {value}; known are {', '.join(enum.keys())}")

    def done(self) -> None:
        """Ends the checks.

        Raises:
            InvalidArgumentError: Something is wrong.
        """
        if self.violations:
            raise InvalidArgumentError(self.violations)
