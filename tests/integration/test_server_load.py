import asyncio
from collections import Counter

import grpc
import pytest

from kindred.v1 import recommendation_service_pb2 as pb
from tests.support.system import BOUND, System

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


class TestManyCallsAtOnce:
    async def test_every_call_of_a_burst_is_answered(self, server: System) -> None:
        """Three thousand calls at once are all answered, none of them dropped by the server."""
        request = pb.RecommendRequest(user_id="7", limit=1)
        calls = [server.client.recommendations.Recommend(request, timeout=BOUND) for _ in range(3_000)]
        codes = Counter(await asyncio.gather(*(call.code() for call in calls)))
        assert codes == {grpc.StatusCode.OK: 3_000}
