"""A token of another topic than the known one: the broker is asked, together, and nobody is judged by an old answer."""

import asyncio

import pytest

from kindred.errors import StaleTokenError, UnavailableError
from kindred.stores.port import LogPosition
from server.state import ServerState


class Producer:
    """Tells the topic's id as it is told to, and counts how often it is asked."""

    known_topic_id = "old"

    def __init__(self) -> None:
        self.now: str | None = "new"
        self.asked = 0

    async def topic_id(self) -> str:
        """The id, after a moment."""
        self.asked += 1
        answer = self.now
        await asyncio.sleep(0.01)
        if answer is None:
            raise UnavailableError("log", "away")
        return answer


@pytest.fixture
def producer() -> Producer:
    """The broker."""
    return Producer()


@pytest.fixture
def state(producer: Producer) -> ServerState:
    """A server that writes to it."""
    return ServerState(producer, "topic")  # type: ignore[arg-type]  # as much of one as is asked


async def check(state: ServerState, topic_id: str, *, thoroughly: bool = False) -> bool:
    """Whether a token of a topic is still good."""
    try:
        await state._check_topic(LogPosition(topic_id, 0, 0), thoroughly=thoroughly)
    except StaleTokenError:
        return False
    return True


async def test_many_who_come_at_once_ask_once_and_all_get_the_answer(state: ServerState, producer: Producer) -> None:
    """Tokens of the topic that is there are right, however many come together; of another one all are wrong."""
    assert all(await asyncio.gather(*(check(state, "new") for _ in range(20))))
    assert producer.asked <= 2
    assert not any(await asyncio.gather(*(check(state, "gone") for _ in range(20))))


async def test_the_known_topic_is_asked_for_only_thoroughly(state: ServerState, producer: Producer) -> None:
    """A token of the topic that we write to costs no question, unless its time is over."""
    assert await check(state, "old")
    assert producer.asked == 0
    assert not await check(state, "old", thoroughly=True)
    assert producer.asked == 1


async def test_an_old_answer_judges_nobody(state: ServerState, producer: Producer) -> None:
    """A topic that was made anew after somebody asked is asked for again."""
    assert not await check(state, "newer")
    producer.now = "newer"
    assert await check(state, "newer")


async def test_a_broker_that_does_not_tell_judges_nobody(state: ServerState, producer: Producer) -> None:
    """While the broker is away no token is called stale."""
    producer.now = None
    assert await check(state, "whatever")
