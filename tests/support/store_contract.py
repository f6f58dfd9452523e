"""The promises of `Store`: what every adapter does. Its test class inherits `StoreContract` and gives a backend."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest

from kindred.items import CatalogEntry, Item
from kindred.ratings import EMPTY_PROFILE, AttributesSet, Forgotten, Rated, Retracted, UserProfile, merge
from kindred.stores.port import LogPosition, PointId, RatingCounts, Store, StoredUser, point_id_of
from kindred.weighting import SparseVector
from tests.support.stores import (
    StoreBackend,
    build,
    by_id,
    entry,
    found,
    placed,
    profile_of,
    scanned,
    sparse,
    write,
)

Load = Callable[..., Awaitable[Store]]

EVERYTHING = merge(
    EMPTY_PROFILE,
    [
        Forgotten(5),
        Rated(0, 0.5, 1_700_000_000_123),
        Rated(2**32 - 1, 4.5, 1_700_000_000_124),
        Retracted(7, 1_700_000_000_125),
        AttributesSet({"age": 31.0, "gender": "f", "paying": True, "länder": "Österreich 🇦🇹"}, 1_700_000_000_126),
    ],
)
"""A profile with everything that a profile can have."""


class StoreContract:
    """The promises of a loaded store."""

    @pytest.fixture
    def backend(self) -> StoreBackend:
        """A place for one collection; the adapter's test class gives it."""
        raise NotImplementedError

    @pytest.fixture
    async def load(self, backend: StoreBackend) -> AsyncIterator[Load]:
        """Loads users and items, as `build` does, and opens the store; closes it at the end."""
        opened: list[Store] = []

        async def load(*args: object, **kwargs: object) -> Store:
            build(backend, *args, **kwargs)  # type: ignore[arg-type]  # as `build` has it
            opened.append(await backend.open())
            return opened[-1]

        yield load
        for store in opened:
            await store.close()

    # Search

    async def test_search_agrees_with_dot_products(self, load: Load) -> None:
        """A search finds every user with a positive dot product, best first, with scores as numpy computes them."""
        random = np.random.default_rng(7)
        dense = random.normal(size=(80, 50)) * (random.random((80, 50)) < 0.3)
        names = [str(row) if row % 2 else f"user-{row}" for row in range(80)]
        store = await load([placed(name, _dimensions(row)) for name, row in zip(names, dense, strict=True)])
        row_of = {point_id_of(name): row for row, name in enumerate(names)}
        for query in random.normal(size=(12, 50)) * (random.random((12, 50)) < 0.5):
            [hits] = await store.search([sparse(_dimensions(query))], 100)
            products = dense @ query
            rows = [row_of[point_id] for point_id in hits.point_ids]
            assert hits.scores == sorted(hits.scores, reverse=True)
            assert len(set(rows)) == len(rows) == len(hits.versions)
            assert hits.scores == pytest.approx(products[rows], abs=1e-5)
            liked = [row for row, score in zip(rows, hits.scores, strict=True) if score > 0]
            assert liked == [row for row in np.argsort(-products) if products[row] > 0]

    @pytest.mark.parametrize("limit", [1, 2, 9, 10, 11, 10_000])
    async def test_limit_cuts_the_worst(self, load: Load, limit: int) -> None:
        """A limit keeps the best users and no more than that many."""
        store = await load([placed(str(user), {3: user / 10}) for user in range(1, 11)])
        assert await found(store, {3: 1.0}, limit) == [str(user) for user in range(10, 0, -1)][:limit]

    async def test_disliked_users_never_displace_liked_ones(self, load: Load) -> None:
        """Users with a product of zero or less come, if at all, after all others."""
        store = await load(
            [placed(f"far-{user}", {1: -1.0}) for user in range(20)]
            + [placed(f"even-{user}", {1: 1.0, 2: -1.0}) for user in range(20)]
            + [placed("near", {1: 0.25}), placed("nearer", {1: 0.5})]
        )
        [hits] = await store.search([sparse({1: 1.0, 2: 1.0})], 100)
        assert hits.scores[:2] == pytest.approx([0.5, 0.25])
        assert all(score <= 0 for score in hits.scores[2:])
        assert await found(store, {1: 1.0, 2: 1.0}, 2) == ["nearer", "near"]

    async def test_batch_answers_like_single_searches(self, load: Load) -> None:
        """Many queries in one call get, in order, what each gets alone."""
        store = await load([placed(str(user), {user % 7: user / 3, 7: 1 / user}) for user in range(1, 40)])
        queries = [sparse({dimension: 1.0, 7: 0.5}) for dimension in range(8)]
        queries.insert(3, sparse({99: 1.0}))
        together = await store.search(queries, 5)
        assert together == [(await store.search([query], 5))[0] for query in queries]
        assert [len(hits.scores) for hits in together] == [5, 5, 5, 0, 5, 5, 5, 5, 5]
        assert together[0] != together[1]

    async def test_no_queries_get_no_answers(self, load: Load) -> None:
        """An empty batch is answered by an empty list."""
        store = await load([placed("1", {1: 1.0})])
        assert await store.search([], 5) == []

    async def test_users_without_a_vector_are_not_found(self, load: Load) -> None:
        """Nobody finds a user who has no ratings, had them all taken back, or is forgotten."""
        store = await load(
            [
                write("7", profile_of({1: 5.0})),
                write("ann", profile_of({1: 5.0})),
                write("bob", profile_of({1: 5.0})),
                write("new"),
                write("gone", merge(EMPTY_PROFILE, [Forgotten(9)])),
            ]
        )
        retracted = merge(profile_of({1: 5.0}), [Retracted(1, 2_000)])
        forgotten = merge(profile_of({1: 5.0}), [Forgotten(2_000)])
        assert await store.write_users([write("7", retracted, 2), write("ann", forgotten, 2)]) == [True, True]
        assert await found(store, {1: 1.0}) == ["bob"]

    async def test_a_write_replaces_the_whole_vector(self, load: Load) -> None:
        """A rewritten user is found at once by the new dimensions and no longer by the old ones."""
        store = await load([placed("7", {1: 1.0, 2: 1.0})])
        await store.write_users([placed("7", {2: 3.0, 4: 2.0}, 2)])
        [was, kept, new] = await store.search([sparse({1: 1.0}), sparse({2: 1.0}), sparse({4: 1.0})], 10)
        assert [was.scores, kept.scores, new.scores] == [[], pytest.approx([3.0]), pytest.approx([2.0])]

    @pytest.mark.parametrize("item", [0, 2**31 - 1, 2**31, 2**32 - 1])
    async def test_every_item_index_is_a_dimension(self, load: Load, item: int) -> None:
        """The lowest and the highest item indexes of both halves can be rated and searched."""
        store = await load([write("7", profile_of({item: 5.0})), write("8", profile_of({12: 5.0}))])
        assert await found(store, {item: 1.0}) == ["7"]

    # Versions

    async def test_version_changes_with_every_write(self, load: Load) -> None:
        """Each write of a user, even of the same content, gives the point a version that it never had."""
        store = await load([placed("7", {1: 1.0}), placed("ann", {1: 1.0})])
        for user_id in ("7", "ann"):
            seen = [await _version(store, user_id)]
            for revision in range(2, 8):
                await store.write_users([placed(user_id, {1: 1.0}, revision)])
                seen.append(await _version(store, user_id))
            assert len(set(seen)) == len(seen)

    async def test_version_stays_without_a_write(self, load: Load) -> None:
        """Reads, lost races and writes of others leave a user's version as it is."""
        store = await load([placed("7", {1: 1.0}), placed("ann", {1: 1.0})])
        before = await _version(store, "7")
        await store.users([7])
        assert await store.write_users([placed("7", {1: 2.0}, 5), placed("ann", {1: 2.0}, 2)]) == [False, True]
        assert await _version(store, "7") == before

    async def test_versions_do_not_start_over(self, load: Load, backend: StoreBackend) -> None:
        """After closing and opening again a write still gives a version that the point never had."""
        store = await load([placed("7", {1: 1.0})])
        seen = []
        for revision in range(2, 8):
            seen.append(await _version(store, "7"))
            await store.write_users([placed("7", {1: 1.0}, revision)])
            if revision % 2:
                await store.close()
                store = await backend.open()
        seen.append(await _version(store, "7"))
        await store.close()
        assert len(set(seen)) == 7

    # Users

    async def test_a_loaded_user_reads_back_whole(self, load: Load) -> None:
        """Ratings, retractions, times, attributes, revision and log position come back as they were loaded."""
        position = LogPosition("topic-Ω", 3, 2**40)
        store = await load([write("ann", EVERYTHING, 41, position), write("7", profile_of({1: 5.0}))])
        assert await store.users([point_id_of("ann")]) == [StoredUser("ann", EVERYTHING, 41, position)]

    async def test_a_written_user_reads_back_whole(self, load: Load) -> None:
        """What `write_users` wrote comes back the same, and nothing remains of what was there."""
        store = await load([write("ann", EVERYTHING, 1, LogPosition("a", 1, 2))])
        plain = write("ann", profile_of({9: 3.5}), 2)
        assert await store.write_users([plain]) == [True]
        assert await store.users([point_id_of("ann")]) == [plain.user]

    async def test_users_come_in_the_order_of_the_ids(self, load: Load) -> None:
        """Users are read in the order asked for, with None for nobody and a repeated id twice."""
        store = await load([write(name, profile_of({1: 5.0})) for name in ("1", "2", "ann")])
        ids: list[PointId] = [point_id_of(name) for name in ("ann", "3", "2", "bob", "1", "ann")]
        names = [user and user.user_id for user in await store.users(ids)]
        assert names == ["ann", None, "2", None, "1", "ann"]
        assert await store.users([]) == []

    @pytest.mark.parametrize("revision", [1, 2, 4, 5])
    async def test_a_stale_write_changes_nothing(self, load: Load, revision: int) -> None:
        """A write that is not of the next revision returns False; the user and the vector stay."""
        store = await load([write("ann", profile_of({1: 5.0}), 2)])
        assert await store.write_users([write("ann", profile_of({2: 4.0}), 3)]) == [True]
        assert await store.write_users([write("ann", profile_of({9: 5.0}), revision)]) == [revision == 4]
        if revision != 4:
            assert await store.users([point_id_of("ann")]) == [StoredUser("ann", profile_of({2: 4.0}), 3)]
            assert await found(store, {9: 1.0}) == []
            assert await found(store, {2: 1.0}) == ["ann"]

    @pytest.mark.parametrize("user_id", ["7", "ann"])
    async def test_who_is_read_again_and_again_is_read_as_written(self, load: Load, user_id: str) -> None:
        """Somebody who is read alone, as whoever asks is, is each time as the last write left them."""
        store = await load([write(user_id, profile_of({1: 5.0}))])
        for revision in range(2, 6):
            profile = profile_of({1: 5.0, revision: 4.0})
            for _ in range(2):
                [before] = await store.users([point_id_of(user_id)])
                assert before is not None
                assert before.revision == revision - 1
            assert await store.write_users([write("other", profile, 1), write(user_id, profile, revision)]) == [
                revision == 2,
                True,
            ]
            assert await store.users([point_id_of(user_id)]) == [StoredUser(user_id, profile, revision)]

    @pytest.mark.parametrize("user_id", ["8", "bob"])
    async def test_a_first_write_needs_nobody_there(self, load: Load, user_id: str) -> None:
        """Revision 1 is written only where nobody is, and a later revision only where somebody is."""
        store = await load([write("7", profile_of({1: 5.0}))])
        assert await store.write_users([write(user_id, profile_of({1: 4.0}), 2)]) == [False]
        assert await store.users([point_id_of(user_id)]) == [None]
        assert await store.write_users([write(user_id, profile_of({1: 3.0}), 1)]) == [True]
        assert await store.write_users([write(user_id, profile_of({1: 2.0}), 1)]) == [False]
        assert await store.users([point_id_of(user_id)]) == [StoredUser(user_id, profile_of({1: 3.0}), 1)]

    async def test_each_write_of_a_batch_succeeds_or_fails_by_itself(self, load: Load) -> None:
        """In one batch the current writes happen, the stale ones do not, and the answers are in order."""
        store = await load([write(name, profile_of({1: 5.0}), 3) for name in ("1", "2", "ann", "bob")])
        batch = [("1", 4), ("2", 3), ("new", 1), ("ann", 5), ("bob", 4), ("other", 2), ("9", 1)]
        answers = await store.write_users([write(name, profile_of({2: 4.0}), revision) for name, revision in batch])
        assert answers == [True, False, True, False, True, False, True]
        users = await store.users([point_id_of(name) for name, _ in batch])
        assert [user and user.revision for user in users] == [4, 3, 1, 3, 4, None, 1]
        assert sorted(await found(store, {2: 1.0})) == ["1", "9", "bob", "new"]
        assert await store.write_users([]) == []

    async def test_concurrent_writers_lose_no_update(self, load: Load) -> None:
        """Many writers who read, merge and write one user until it succeeds leave all of their ratings."""
        store = await load([])
        lost = 0

        async def rate(item: int) -> None:
            nonlocal lost
            point_id = point_id_of("ann")
            while True:
                [user] = await store.users([point_id])
                await asyncio.sleep(0)  # lets the other writers read the same revision
                user = user or StoredUser("ann", EMPTY_PROFILE, 0)
                merged = merge(user.profile, [Rated(item, 4.0, item)])
                if (await store.write_users([write("ann", merged, user.revision + 1)]))[0]:
                    return
                lost += 1

        async with asyncio.timeout(60):
            await asyncio.gather(*(rate(item) for item in range(24)))
        [user] = await store.users([point_id_of("ann")])
        assert user is not None
        assert user.profile.items.tolist() == list(range(24))
        assert user.revision == 24
        assert lost > 0

    async def test_of_concurrent_first_writes_one_wins(self, load: Load) -> None:
        """When many insert the same new user at once, one is told that it did, and its profile is there."""
        store = await load([])
        writes = [write("ann", profile_of({item: 5.0})) for item in range(16)]
        answers = [written for [written] in await asyncio.gather(*(store.write_users([each]) for each in writes))]
        assert answers.count(True) == 1
        assert await store.users([point_id_of("ann")]) == [writes[answers.index(True)].user]

    async def test_a_forgotten_user_leaves_a_nameless_tombstone(self, load: Load) -> None:
        """After forgetting, the time, the revision and the log position remain; a textual id does not."""
        store = await load([write("ann", EVERYTHING), write("7", EVERYTHING)])
        tombstone = merge(EVERYTHING, [Forgotten(1_800_000_000_000)])
        position = LogPosition("topic", 0, 12)
        await store.write_users([write("ann", tombstone, 2, position), write("7", tombstone, 2, position)])
        ann, seven = await store.users([point_id_of("ann"), 7])
        assert ann == StoredUser("", UserProfile(forgotten_at=1_800_000_000_000), 2, position)
        assert seven == StoredUser("7", UserProfile(forgotten_at=1_800_000_000_000), 2, position)

    async def test_a_huge_profile_is_kept_and_found(self, load: Load) -> None:
        """A user with 20,000 ratings reads back exactly and scores as the dot product says."""
        random = np.random.default_rng(3)
        items = np.sort(random.choice(2**32, 20_000, replace=False)).astype(np.uint32)
        values = random.integers(1, 11, 20_000).astype(np.float32) / np.float32(2)
        profile = UserProfile(items, values, random.integers(1, 2**41, 20_000))
        store = await load([write("loaded", profile)])
        huge = write("written", profile)
        assert await store.write_users([huge]) == [True]
        assert [user.profile for user in by_id(await _all(store)).values()] == [profile, profile]
        query = sparse(dict.fromkeys(items[:300].tolist(), 1.0))
        [hits] = await store.search([query], 10)
        product = float(huge.vector.values[:300].astype(np.float64).sum())
        assert hits.scores == pytest.approx([product, product], abs=1e-5)

    async def test_a_huge_query_is_answered(self, load: Load) -> None:
        """A query with 20,000 dimensions is answered like a short one."""
        store = await load([placed("7", {19_999: 0.5}), placed("8", {20_000: 0.5})])
        query = SparseVector(np.arange(20_000, dtype=np.uint32), np.ones(20_000, np.float32))
        [hits] = await store.search([query], 10)
        assert hits.point_ids == [7]
        assert hits.scores == pytest.approx([0.5])

    @pytest.mark.parametrize(
        "user_id", ["ü", "用户", "👩\u200d🚀", "e\u0301", "\u00e9", "a b/c?d", "x" * 256, "龍" * 256]
    )
    async def test_unusual_ids_come_back_as_they_went(self, load: Load, user_id: str) -> None:
        """Ids beyond ASCII, unnormalized ones and ones of 256 characters are kept to the letter."""
        store = await load([write("7", profile_of({1: 5.0}))])
        assert await store.write_users([write(user_id, profile_of({2: 5.0}))]) == [True]
        assert await found(store, {2: 1.0}) == [user_id]

    async def test_ids_that_look_like_the_same_number_are_different_users(self, load: Load) -> None:
        """Leading zeros, signs, other digits and the bounds of 64 bits each make a user of their own."""
        names = ["0", "00", "7", "007", "+7", "-7", "7 ", "\u0667", "7.0", "2147483648", "9223372036854775807"]
        names += ["9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999"]
        loaded, written = names[::2], names[1::2]
        users = {name: write(name, profile_of({place: 5.0})) for place, name in enumerate(names)}
        store = await load([users[name] for name in loaded])
        assert await store.write_users([users[name] for name in written]) == [True] * len(written)
        for place, name in enumerate(names):
            assert await found(store, {place: 1.0}) == [name]
            assert await store.users([point_id_of(name)]) == [users[name].user]
        assert sorted(by_id(await _all(store))) == sorted(names)

    # Scan

    @pytest.mark.parametrize("page", [1, 7, 30, 59, 60, 61, 5_000])
    async def test_scan_reads_everybody_once(self, load: Load, page: int) -> None:
        """Pages of any size hold every user exactly once, whole, and no page more than its size."""
        users = [write(str(user), profile_of({user: 5.0})) for user in range(30)]
        users += [write(f"user-{user}", profile_of({user: 5.0}), 7) for user in range(30)]
        store = await load(users)
        pages = [users async for users in store.scan_users(page)]
        assert all(len(users) <= page for users in pages)
        assert sum(len(users) for users in pages) == 60
        assert by_id([user for users in pages for user in users]) == {each.user.user_id: each.user for each in users}

    async def test_scan_of_nobody_is_empty(self, load: Load) -> None:
        """A collection without users scans to its end."""
        store = await load([])
        assert await scanned(store.scan_users(10)) == []

    async def test_scan_sees_what_was_written(self, load: Load) -> None:
        """Users written since the load are scanned as they are now."""
        store = await load([write("7", profile_of({1: 5.0})), write("ann", profile_of({1: 5.0}))])
        new = [write("7", profile_of({2: 5.0}), 2), write("bob", profile_of({3: 5.0}))]
        await store.write_users(new)
        users = by_id(await _all(store))
        assert sorted(users) == ["7", "ann", "bob"]
        assert [users["7"], users["bob"]] == [each.user for each in new]

    # Items

    async def test_items_come_back_whole(self, load: Load) -> None:
        """Every field of an item, and its counts, come back as they were loaded."""
        full = CatalogEntry(
            2**32 - 1,
            Item(
                "héros-7",
                "Amélie 🎬",
                -44,
                ("Comedy", "Sci-Fi"),
                ("paris", "ünïcode"),
                {"imdb": "tt0211675", "tmdb": "194"},
                {"runtime": 122.0, "language": "fr", "color": True},
            ),
            rated_count=583,
            liked_count=400,
        )
        store = await load(items=[full, entry(0)])
        assert sorted(await store.items(), key=lambda each: each.index) == [entry(0), full]

    async def test_a_big_catalog_is_read_whole(self, load: Load) -> None:
        """More items than any page holds are all read, each once."""
        store = await load(items=[entry(index, f"title {index}") for index in range(4_500)])
        items = await store.items()
        assert len(items) == 4_500
        assert {each.index: each.item.title for each in items} == {index: f"title {index}" for index in range(4_500)}

    async def test_insert_takes_only_free_indexes(self, load: Load) -> None:
        """An item is added where its index is free; one that is there stays, and only its own id is told True."""
        store = await load(items=[entry(1, "old"), entry(2, "old", "two")])
        answers = await store.insert_items([entry(1, "new"), entry(2, "new", "other"), entry(3, "new")])
        assert answers == [True, False, True]
        items = {each.index: (each.item.item_id, each.item.title) for each in await store.items()}
        assert items == {1: ("1", "old"), 2: ("two", "old"), 3: ("3", "new")}

    async def test_of_concurrent_inserts_one_wins(self, load: Load) -> None:
        """When many items claim one index at once, one is told that it has it, and it does."""
        store = await load([])
        rivals = [entry(9, item_id=f"rival-{rival}") for rival in range(16)]
        answers = [held for [held] in await asyncio.gather(*(store.insert_items([rival]) for rival in rivals))]
        assert answers.count(True) == 1
        assert await store.items() == [rivals[answers.index(True)]]

    async def test_replace_writes_items_anew(self, load: Load) -> None:
        """Replaced items have the new fields, nothing of the old ones, and their counts; the others stay."""
        item = Item("1", "old", 1999, ("Drama",), ("tag",), {"imdb": "tt1"}, {"a": 1.0})
        store = await load(items=[CatalogEntry(1, item, 5, 4), entry(2)])
        await store.replace_items([CatalogEntry(1, Item("1", "new"), 60, 50)])
        assert sorted(await store.items(), key=lambda each: each.index) == [
            CatalogEntry(1, Item("1", "new"), 5, 4),
            entry(2),
        ]

    async def test_changed_items_are_those_written_lately(self, load: Load) -> None:
        """Items that were inserted or replaced since a time are told, whole; loaded ones and earlier ones are not."""
        store = await load(items=[entry(1), entry(2), entry(3)])
        assert await store.changed_items(0) == []
        item = Item("2", "new", 1999, ("Drama",), ("tag",), {"imdb": "tt1"}, {"a": 1.0})
        await store.replace_items([CatalogEntry(2, item)])
        [changed] = await store.changed_items(0)
        assert (changed.index, changed.item) == (2, item)
        await asyncio.sleep(0.002)  # a later millisecond of the clock
        assert await store.insert_items([entry(4)]) == [True]
        assert {each.index for each in await store.changed_items(0)} == {2, 4}
        assert {each.index for each in await store.changed_items(changed.changed_at + 1)} == {4}

    async def test_counts_are_replaced_whole(self, load: Load) -> None:
        """Written counts come back, with the items and without; those of before are gone, however many there were."""
        store = await load(items=[CatalogEntry(1, Item("1"), 5, 4), entry(2)])
        assert [column.tolist() for column in await store.counts()] == [[1], [5], [4]]
        many = RatingCounts(*(np.arange(150_000, dtype=np.uint32) + add for add in (0, 7, 3)))
        await store.write_counts(many)
        assert all(np.array_equal(*pair) for pair in zip(await store.counts(), many, strict=True))
        few = RatingCounts(*(np.array(column, np.uint32) for column in ([2, 2**32 - 1], [9, 2**31], [8, 0])))
        await store.write_counts(few)
        assert [column.tolist() for column in await store.counts()] == [[2, 2**32 - 1], [9, 2**31], [8, 0]]
        assert sorted(await store.items(), key=lambda each: each.index) == [
            entry(1),
            CatalogEntry(2, Item("2"), 9, 8),
        ]

    async def test_items_that_were_never_counted_have_no_counts(self, load: Load) -> None:
        """Without any counts the columns are empty."""
        store = await load(items=[entry(1)])
        assert [column.tolist() for column in await store.counts()] == [[], [], []]

    async def test_users_and_items_do_not_share_ids(self, load: Load) -> None:
        """A user and an item under the same number are two things."""
        store = await load([write("7", profile_of({7: 5.0}))], [entry(7, "seven")])
        assert await store.insert_items([entry(8)]) == [True]
        assert await store.write_users([write("8", profile_of({7: 4.0}))]) == [True]
        assert len(await store.items()) == 2
        assert len(await _all(store)) == 2

    # Closing

    async def test_close_is_idempotent(self, load: Load) -> None:
        """Closing twice is like closing once."""
        store = await load([write("7", profile_of({1: 5.0}))])
        await store.close()
        await store.close()

    async def test_reopening_finds_every_write(self, load: Load, backend: StoreBackend) -> None:
        """Users and items that were written are there, and found, after closing and opening again."""
        store = await load([write("7", profile_of({1: 5.0})), write("8", profile_of({1: 5.0}))], [entry(1, "old")])
        new = [write("7", EVERYTHING, 2, LogPosition("t", 0, 1)), write("ann", profile_of({2: 5.0}))]
        await store.write_users(new)
        await store.insert_items([entry(2)])
        await store.replace_items([entry(1, "new")])
        await store.write_counts(RatingCounts(*(np.array([number], np.uint32) for number in (1, 3, 0))))
        await store.close()
        store = await backend.open()
        users = by_id(await _all(store))
        items = sorted(await store.items(), key=lambda each: each.index)
        names = await found(store, {2: 1.0})
        await store.close()
        assert [users["7"], users["ann"], users["8"].revision] == [new[0].user, new[1].user, 1]
        assert items == [replace(entry(1, "new"), rated_count=3), entry(2)]
        assert names == ["ann"]


def _dimensions(row: np.ndarray) -> dict[int, float]:
    return {place: float(row[place]) for place in np.flatnonzero(row).tolist()}


async def _version(store: Store, user_id: str) -> int:
    [hits] = await store.search([sparse({1: 1.0})], 100)
    return hits.versions[hits.point_ids.index(point_id_of(user_id))]


async def _all(store: Store) -> list[StoredUser]:
    return await scanned(store.scan_users(1_000))
