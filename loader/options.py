"""How to load."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the commands' options come from here, and most commands need no arrays
    from kindred.stores.port import LogPosition

Duplicates = Literal["latest", "mean", "sum"]
"""What becomes of a user's ratings of one item: the latest by (time, then order), or their mean or sum, at the latest
time. A sum beyond the scale is the scale's maximum."""

WeightingName = Literal["default", "zscore"]

NO_SUMS = (
    "z-scores are made from the rows, not from their sums; load with the default weighting, then "
    "kindred reindex --weighting zscore"
)

TimeUnit = Literal["s", "ms", "iso"]
"""How times are written: seconds or milliseconds since 1970, or ISO 8601 (UTC where it names no zone)."""

ROWS_IN_MEMORY = 4_000_000


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load.

    Args:
        duplicates: What becomes of repeated pairs of user and item.
        weighting: What the vectors are made with.
        shrinkage: The default weighting's h.
        bad_rows_report: Where to list rows that cannot be read; None: the first one stops the load.
        rows_in_memory: Up to how many ratings are held in memory; more go to files by user.
        spill_folder: Where those files are; None is the system's folder for temporary files.
        included: Where the log goes on behind what the collection includes; empty if nobody knows.

    Raises:
        ValueError: Sums with z-scores, whose mean and deviation are those of the single rows.
    """

    duplicates: Duplicates = "latest"
    weighting: WeightingName = "default"
    shrinkage: float = 5.0
    bad_rows_report: Path | None = None
    rows_in_memory: int = ROWS_IN_MEMORY
    spill_folder: Path | None = None
    included: "tuple[LogPosition, ...]" = ()

    def __post_init__(self) -> None:
        if self.duplicates == "sum" and self.weighting == "zscore":
            raise ValueError(NO_SUMS)
