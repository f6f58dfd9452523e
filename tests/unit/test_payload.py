import base64
import json
import struct

import numpy as np
import pytest

from kindred.items import CatalogEntry, Item
from kindred.ratings import (
    EMPTY_PROFILE,
    AttributesSet,
    Forgotten,
    ProfileEvent,
    Rated,
    Retracted,
    UserProfile,
    merge,
)
from kindred.stores.payload import (
    counts_of,
    counts_payloads,
    item_payload,
    read_counts,
    read_item,
    read_user,
    user_payload,
    with_counts,
)
from kindred.stores.port import LogPosition, RatingCounts, StoredUser, point_id_of
from kindred.v1.stored_profile_pb2 import StoredProfile

PROFILES: dict[str, list[ProfileEvent]] = {
    "empty": [],
    "ratings": [Rated(1, 0.5, 1_700_000_000_123), Rated(2**32 - 1, 5.0, 1_700_000_000_122)],
    "no rating of zero is lost": [Rated(0, 0.0, 0)],
    "retractions": [Rated(1, 4.5, 10), Retracted(2, 20), Retracted(3, 30)],
    "only retractions": [Retracted(2, 20)],
    "times before 1970": [Rated(1, 3.0, -86_400_001), Retracted(2, -5)],
    "attributes": [AttributesSet({"age": 31.5, "länder": "Österreich 🇦🇹", "paying": True, "old": False, "": ""}, 7)],
    "attributes taken away": [AttributesSet({}, 7)],
    "forgotten and back": [Forgotten(100), Rated(1, 3.0, 101), AttributesSet({"a": "b"}, 102)],
    "forgotten and back with a retraction": [Forgotten(100), Retracted(1, 101)],
}


def through_json(payload: dict[str, object]) -> dict[str, object]:
    """The payload as an engine gives it back: plain JSON, nothing of numpy."""
    again: dict[str, object] = json.loads(json.dumps(payload, allow_nan=False))
    return again


class TestUserPayload:
    @pytest.mark.parametrize("events", PROFILES.values(), ids=PROFILES)
    @pytest.mark.parametrize("user_id", ["7", "ann", "用户 👩\u200d🚀", "x" * 256, "007"])
    @pytest.mark.parametrize("source", [None, LogPosition("topic-Ω", 3, 2**40), LogPosition("", 0, 0)])
    def test_a_user_reads_back_whole(
        self, user_id: str, events: list[ProfileEvent], source: LogPosition | None
    ) -> None:
        """Any user comes back bit for bit, through JSON."""
        user = StoredUser(user_id, merge(EMPTY_PROFILE, events), 12, source)
        again = read_user(point_id_of(user_id), through_json(user_payload(user)))
        assert again == user
        dtypes = [column.dtype for column in (again.profile.items, again.profile.values, again.profile.rated_at)]
        assert dtypes == [np.uint32, np.float32, np.int64]
        types = [type(value) for value in again.profile.attributes.values()]
        assert types == [type(value) for value in user.profile.attributes.values()]

    def test_a_read_profile_goes_on(self) -> None:
        """Events merge into a profile that was read as into the one that was written."""
        profile = merge(EMPTY_PROFILE, PROFILES["retractions"])
        again = read_user(7, user_payload(StoredUser("7", profile, 1))).profile
        later = [Rated(2, 3.0, 21), Rated(9, 1.0, 1), Retracted(1, 11), Forgotten(12)]
        assert merge(again, later) == merge(profile, later)

    def test_what_a_filter_can_see(self) -> None:
        """Beside the profile stand the id, attributes, count, newest rating and log position, in plain types."""
        events = [Rated(1, 4.5, 1_700_000_000_123), Rated(2, 4.5, 5), Retracted(3, 1_800_000_000_000)]
        profile = merge(EMPTY_PROFILE, [*events, AttributesSet({"age": 31.0}, 1)])
        payload = user_payload(StoredUser("ann", profile, 4, LogPosition("t", 2, 99)))
        del payload["profile"]
        assert payload == {
            "user_id": "ann",
            "attributes": {"age": 31.0},
            "rating_count": 2,
            "last_rated_at": "2023-11-14T22:13:20.123Z",
            "revision": 4,
            "source": {"topic_id": "t", "partition": 2, "offset": 99},
        }

    @pytest.mark.parametrize("millisecond", [*range(0, 1_000, 37), 1, 7, 29, 999])
    def test_times_keep_their_millisecond(self, millisecond: int) -> None:
        """The newest rating's time is exact to the millisecond."""
        profile = merge(EMPTY_PROFILE, [Rated(1, 4.5, 4_102_444_799_000 + millisecond)])
        expected = f"2099-12-31T23:59:59.{millisecond:03}Z"
        assert user_payload(StoredUser("7", profile, 1))["last_rated_at"] == expected

    def test_columns_are_little_endian(self) -> None:
        """The profile is base64 of packed little-endian columns: u32, f32 with NaN for a retraction, i64."""
        profile = merge(EMPTY_PROFILE, [Rated(258, 4.5, 2**40 + 1), Retracted(2**32 - 2, -2)])
        stored = StoredProfile.FromString(base64.b64decode(user_payload(StoredUser("7", profile, 1))["profile"]))
        assert stored.items == struct.pack("<2I", 258, 2**32 - 2)
        assert stored.values == struct.pack("<f", 4.5) + b"\x00\x00\xc0\x7f"
        assert stored.rated_at == struct.pack("<2q", 2**40 + 1, -2)

    @pytest.mark.parametrize(("user_id", "remains"), [("ann", ""), ("007", ""), ("7", "7")])
    def test_a_tombstone_names_nobody(self, user_id: str, remains: str) -> None:
        """A forgotten user leaves no id, attributes or ratings; just the time, the revision and the log position."""
        events = [*PROFILES["ratings"], *PROFILES["attributes"], Forgotten(1_800_000_000_000)]
        user = StoredUser(user_id, merge(EMPTY_PROFILE, events), 5, LogPosition("t", 1, 2))
        payload = through_json(user_payload(user))
        assert sorted(payload) == ["profile", "rating_count", "revision", "source"]
        tombstone = StoredUser(remains, UserProfile(forgotten_at=1_800_000_000_000), 5, LogPosition("t", 1, 2))
        assert read_user(point_id_of(user_id), payload) == tombstone

    def test_somebody_who_only_came_by_is_no_tombstone(self) -> None:
        """A user without ratings who was never forgotten keeps the id."""
        assert user_payload(StoredUser("ann", EMPTY_PROFILE, 1))["user_id"] == "ann"


class TestItemPayload:
    @pytest.mark.parametrize(
        "item",
        [
            Item("0"),
            Item("héros", "Amélie 🎬", 0),
            Item(
                "7",
                "七人の侍",
                -44,
                ("Drama", "Action"),
                ("b", "a"),
                {"imdb": "tt0047478", "tmdb": "346"},
                {"minutes": 207.0, "color": False, "language": "ja", "": ""},
            ),
        ],
        ids=["least", "without lists", "most"],
    )
    def test_an_item_reads_back_whole(self, item: Item) -> None:
        """Any item comes back the same, through JSON, with words in their order."""
        again = read_item(through_json(item_payload(item, 1_700_000_000_000)))
        assert again == item
        types = [type(value) for value in again.attributes.values()]
        assert types == [type(value) for value in item.attributes.values()]

    def test_what_is_empty_is_left_out(self) -> None:
        """An item's payload has no fields for what the item lacks."""
        assert item_payload(Item("7")) == {"item_id": "7", "title": ""}


class TestCountsPayloads:
    @pytest.mark.parametrize("items", [0, 1, 65_535, 65_536, 65_537, 200_000])
    def test_counts_read_back_whole(self, items: int) -> None:
        """Counts of any number of items come back the same, through JSON; the first point tells how many there are."""
        counts = RatingCounts(*(np.arange(items, dtype=np.uint32) * 3 + add for add in (0, 1, 2)))
        points = counts_payloads(counts)
        assert [point_id for point_id, _ in points] == list(range(2**32, 2**32 + len(points)))
        assert points[0][1]["points"] == len(points)
        again = read_counts(through_json(payload) for _, payload in points)
        assert all(np.array_equal(*pair) for pair in zip(again, counts, strict=True))

    def test_items_without_counts_have_none(self) -> None:
        """Only items that somebody has rated are counted, by ascending index."""
        entries = [CatalogEntry(9, Item("9"), 3, 2), CatalogEntry(2**32 - 1, Item("x")), CatalogEntry(4, Item("4"), 1)]
        assert [column.tolist() for column in counts_of(entries)] == [[4, 9], [1, 3], [0, 2]]
        assert [column.tolist() for column in counts_of([])] == [[], [], []]
        assert list(with_counts([(9, Item("9")), (5, Item("5"))], counts_of(entries))) == [
            CatalogEntry(9, Item("9"), 3, 2),
            CatalogEntry(5, Item("5")),
        ]
