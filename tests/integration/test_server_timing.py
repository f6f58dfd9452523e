"""Where the time of a call goes: told to callers who ask, and in the metrics."""

from pathlib import Path
from time import perf_counter

import grpc
import pytest
from prometheus_client import REGISTRY

from kindred.timing import ASKING, TRAILER, Step, read
from kindred.v1 import recommendation_service_pb2 as pb
from kindred.v1.rating_service_pb2 import NewRating, RecordRatingsRequest
from server.app import serve_in_background
from server.steps import MEASURED
from tests.support.films import SPACE
from tests.support.system import BOUND, System, connected, failure_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

USUAL = ["decode", "check", "profile", "query", "search", "cache", "score", "predict", "filter", "encode"]
"""The steps of a call that asks for nothing special, with all neighbors in the cache."""


async def steps_of(call: grpc.aio.UnaryUnaryCall) -> list[tuple[str, float]]:
    """The steps that the trailer of a call tells, in seconds; none without a trailer."""
    await call
    return read(",".join(value for key, value in await call.trailing_metadata() if key == TRAILER))


def observed(method: str) -> dict[str, float]:
    """How many calls the metrics have for each step."""
    name = "kindred_recommend_step_seconds_count"
    return {
        step.label: REGISTRY.get_sample_value(name, {"method": f"RecommendationService/{method}", "step": step.label})
        or 0
        for step in Step
    }


async def test_a_caller_who_asks_is_told_and_no_other(system: System) -> None:
    """With the metadata the trailer has the steps; without it there is none; the answer's bytes are the same."""
    recommend, request = system.client.recommendations.Recommend, pb.RecommendRequest(user_id="7", limit=1)
    asked = recommend(request, timeout=BOUND, metadata=(ASKING,))
    silent = recommend(request, timeout=BOUND)
    assert (await asked).SerializeToString() == (await silent).SerializeToString()
    assert TRAILER in dict(await asked.trailing_metadata())
    assert TRAILER not in dict(await silent.trailing_metadata())


async def test_the_steps_are_the_call(system: System) -> None:
    """A call has its usual steps, in order, and they take no longer than the call took for the caller."""
    request = pb.RecommendRequest(user_id="7", limit=1)
    await system.client.recommendations.Recommend(request, timeout=BOUND)
    start = perf_counter()
    steps = await steps_of(system.client.recommendations.Recommend(request, timeout=BOUND, metadata=(ASKING,)))
    elapsed = perf_counter() - start
    assert [name for name, _ in steps if name != "wait"] == USUAL  # now and then a call waits for its turn
    assert 0 < sum(seconds for _, seconds in steps) <= elapsed


async def test_every_step_is_told(own_films_dir: Path) -> None:
    """A batch that asks for everything, on a server that has just started, has every step that there is."""
    demanding = pb.RecommendRequest(
        user_id="7", limit=12, new_item_share=0.5, include_rated=True, explanation=pb.EXPLANATION_FULL
    )
    lonely = pb.RecommendRequest(user_id="nobody")
    batch = pb.BatchRecommendRequest(requests=[demanding, lonely])
    with serve_in_background(own_films_dir) as address:
        async with connected(address) as client:
            first, second = [
                await steps_of(client.recommendations.BatchRecommend(batch, timeout=BOUND, metadata=(ASKING,)))
                for _ in range(2)
            ]
    assert [name for name, _ in first] == [step.label for step in Step]
    assert {name for name, _ in first} - {name for name, _ in second} == {"fetch"}


async def test_waiting_for_freshness_is_a_step(system: System) -> None:
    """A call that names a token waits for it, and that time is no other step's."""
    rating = NewRating(item_id=SPACE[0], value=5)
    recorded = await system.client.ratings.RecordRatings(
        RecordRatingsRequest(user_id="newcomer", ratings=[rating]), timeout=BOUND
    )
    request = pb.RecommendRequest(user_id="newcomer", at_least_as_fresh=recorded.freshness_token)
    steps = await steps_of(system.client.recommendations.Recommend(request, timeout=BOUND, metadata=(ASKING,)))
    assert [name for name, _ in steps][:3] == ["decode", "check", "wait"]


async def test_one_call_in_seven_is_in_the_metrics(system: System) -> None:
    """Of each seven calls in a row the metrics have the steps of one, by method."""
    before = observed("Recommend")
    for _ in range(2 * MEASURED):
        await system.client.recommendations.Recommend(pb.RecommendRequest(user_id="7", limit=1), timeout=BOUND)
    after = observed("Recommend")
    assert {step: after[step] - before[step] for step in USUAL} == dict.fromkeys(USUAL, 2)
    assert after["explain"] == before["explain"]


async def test_a_batch_counts_as_one_call(system: System) -> None:
    """A batch's requests share the steps: each step is observed once, under the batch's own name."""
    ratings = [pb.InlineRating(item_id=item_id, value=5) for item_id in SPACE[:2]]
    batch = pb.BatchRecommendRequest(requests=[pb.RecommendRequest(ratings=ratings, limit=1)] * 3)
    alone, before = observed("Recommend"), observed("BatchRecommend")
    for _ in range(MEASURED):
        await system.client.recommendations.BatchRecommend(batch, timeout=BOUND)
    after = observed("BatchRecommend")
    assert (after["search"] - before["search"], after["score"] - before["score"]) == (1, 1)
    assert observed("Recommend") == alone


@pytest.mark.parametrize("value", ["", "0", "yes"])
async def test_unclear_metadata_is_refused(system: System, value: str) -> None:
    """Metadata that is not what asks for the steps is named, instead of being taken for one or the other."""
    failure = await failure_of(
        system.client.recommendations.Recommend(
            pb.RecommendRequest(user_id="7"), timeout=BOUND, metadata=((ASKING[0], value),)
        )
    )
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == [("metadata.kindred-timing", "must be 1, or not be there")]
