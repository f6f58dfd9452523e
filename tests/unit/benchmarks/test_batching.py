from collections.abc import Sequence

import numpy as np

from benchmarks.batching import SIZES, Ask, Waits, per_answer, table, waits_table


def test_the_table_compares_the_batch_with_every_other_way() -> None:
    """A row has the size, the time of each way, and the batch's share of every other one's."""
    [*_, row] = table({10: {"one after the other": 4.0, "at once": 3.0, "as a batch": 1.5}}).splitlines()
    assert row == "| 10 | 4.000 | 3.000 | 1.500 | 0.38 | 0.50 |"


def test_every_way_asks_for_the_same_users_and_each_is_the_first_in_turn() -> None:
    """What comes first may pay for what the next one finds in memory, so none always does."""
    asked: list[tuple[str, tuple[str, ...]]] = []

    def asking(way: str) -> Ask:
        def ask(users: Sequence[str]) -> None:
            asked.append((way, tuple(users)))

        return ask

    ways = {way: asking(way) for way in ("alone", "together")}
    per_answer(ways, [str(number) for number in range(100)], 10)
    pairs = list(zip(asked[::2], asked[1::2], strict=True))
    assert all(first[1] == second[1] for first, second in pairs)
    assert [first[0] for first, _ in pairs[:4]] == ["alone", "together", "alone", "together"]
    assert {len(users) for _, users in asked} == set(SIZES)


def test_waits_are_milliseconds_of_all_calls() -> None:
    """The slowest call is told beside the median and the slowest hundredth."""
    waits = Waits.of(np.linspace(0.0, 0.1, 101).tolist())
    assert waits == Waits(50.0, 99.0, 100.0)
    [*_, row] = waits_table({"alone": waits}).splitlines()
    assert row == "| alone | 50.0 | 99.0 | 100.0 |"
