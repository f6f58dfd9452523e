"""A Qdrant server for tests, where there is none: what Kindred calls of Qdrant's own gRPC API, over Qdrant Edge.

The engine is the real one, and so are the wire and the semantics of conditional updates, since the server and Edge
share that code. There is one shard, no replication and no background optimizer: `Get` of a collection optimizes. It
keeps its collections in a folder, whatever ends the process, and can be told to fail.

    python -m tests.support.qdrant_over_edge FOLDER PORT     serves until it is killed
"""

import asyncio
import json
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import numpy as np
import qdrant_edge as qe
from qdrant_client import grpc as q

from kindred.stores.qdrant.messages import fill_value, read_payload

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]


@dataclass(slots=True)
class Faults:
    """What goes wrong.

    Args:
        version: What the server says it is.
        api_key: What callers have to send; empty for nothing.
        code: The status that calls fail with; None for none.
        failures: How many calls fail so, from now on; negative for all.
        methods: The calls that go wrong, by name; empty for all.
        delay: Seconds that a call waits before it is answered.
        hanging: Whether calls are never answered.
        after: Whether a call fails only after it has done its work.
        late: Whether a call that waits does its work even if its caller has given it up meanwhile, as Qdrant does.
    """

    version: str = "1.17.1"
    api_key: str = ""
    code: grpc.StatusCode | None = None
    failures: int = -1
    methods: tuple[str, ...] = ()
    delay: float = 0.0
    hanging: bool = False
    after: bool = False
    late: bool = False
    calls: list[str] = field(default_factory=list)
    """The calls that have come, by name."""

    def heal(self) -> None:
        """Ends what goes wrong."""
        self.code, self.failures, self.methods = None, -1, ()
        self.delay, self.hanging, self.after, self.late = 0.0, False, False, False

    def fails(self) -> bool:
        """Whether a call fails now; counts it."""
        if self.code is None or not self.failures:
            return False
        self.failures -= self.failures > 0
        return True


class _FaultInterceptor(grpc.aio.ServerInterceptor):
    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def intercept_service(
        self, continuation: Callable[..., Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Lets the call go wrong, if it is told to."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        faults, name = self._faults, handler_call_details.method.rpartition("/")[2]
        metadata = dict(handler_call_details.invocation_metadata)

        async def handle(request: Any, context: Any) -> Any:
            faults.calls.append(name)
            if faults.api_key and metadata.get("api-key") != faults.api_key:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key or JWT")
            if faults.methods and name not in faults.methods:
                return await handler.unary_unary(request, context)
            while faults.hanging:  # noqa: ASYNC110  # another thread ends it
                await asyncio.sleep(0.01)
            if faults.late:
                return await asyncio.shield(_work_late(handler, request, context, faults.delay))
            await asyncio.sleep(faults.delay)
            if not faults.after and faults.fails():
                await context.abort(faults.code, "secret details of the server")
            response = await handler.unary_unary(request, context)
            if faults.after and faults.fails():
                await context.abort(faults.code, "secret details of the server")
            return response

        return grpc.unary_unary_rpc_method_handler(handle, handler.request_deserializer, handler.response_serializer)


async def _work_late(handler: Any, request: Any, context: Any, delay: float) -> Any:
    await asyncio.sleep(delay)
    try:
        return await handler.unary_unary(request, context)
    except Exception:
        if context.done():  # nobody is there to be told
            return None
        raise


class _Collection:
    """A shard and what is known of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._about = folder / "about.json"
        if self._about.exists():
            self.request = q.CreateCollection.FromString(bytes.fromhex(json.loads(self._about.read_text())["request"]))
            self.shard = qe.EdgeShard.load(str(folder / "shard"))
        self.dirty = True

    @classmethod
    def create(cls, folder: Path, request: q.CreateCollection) -> "_Collection":
        folder.mkdir(parents=True)
        params = {name: qe.EdgeSparseVectorParams() for name in request.sparse_vectors_config.map}
        qe.EdgeShard.create(
            str(folder / "shard"), qe.EdgeConfig(sparse_vectors=params or {"none": params_of_none()})
        ).close()
        collection = cls(folder)
        collection.request = request
        collection.save()
        return cls(folder)

    def save(self) -> None:
        _write_whole(self._about, {"request": self.request.SerializeToString().hex()})

    def optimize(self) -> None:
        if self.dirty:
            self.shard.optimize()
            self.dirty = False


def _write_whole(file: Path, content: object) -> None:
    """Writes a file so that whoever reads it, also after a kill -9, finds the old content or the new one."""
    aside = file.with_suffix(".new")
    aside.write_text(json.dumps(content))
    aside.replace(file)


def params_of_none() -> qe.EdgeSparseVectorParams:
    """A vector that no point has: Edge wants one at least."""
    return qe.EdgeSparseVectorParams()


class Collections(q.CollectionsServicer):
    """The collections of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._aliases_file = folder / "aliases.json"
        self.aliases = json.loads(self._aliases_file.read_text()) if self._aliases_file.exists() else {}
        self.open = {path.name: _Collection(path) for path in folder.iterdir() if (path / "about.json").exists()}

    def close(self) -> None:
        for collection in self.open.values():
            collection.shard.close()

    async def find(self, name: str, context: Any) -> _Collection:
        collection = self.open.get(self.aliases.get(name, name))
        if collection is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
        return collection

    async def Create(self, request: q.CreateCollection, context: Any) -> q.CollectionOperationResponse:
        if request.collection_name in self.open:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "exists")
        self.open[request.collection_name] = _Collection.create(self._folder / request.collection_name, request)
        return q.CollectionOperationResponse(result=True)

    async def Update(self, request: q.UpdateCollection, context: Any) -> q.CollectionOperationResponse:
        collection = await self.find(request.collection_name, context)
        for name, value in request.metadata.items():
            collection.request.metadata[name].CopyFrom(value)
        collection.save()
        return q.CollectionOperationResponse(result=True)

    async def Delete(self, request: q.DeleteCollection, context: Any) -> q.CollectionOperationResponse:
        collection = self.open.pop(request.collection_name, None)
        if collection is not None:
            collection.shard.close()
            shutil.rmtree(self._folder / request.collection_name)
            self.aliases = {alias: of for alias, of in self.aliases.items() if of != request.collection_name}
            self._save_aliases()
        return q.CollectionOperationResponse(result=collection is not None)

    async def Get(self, request: q.GetCollectionInfoRequest, context: Any) -> q.GetCollectionInfoResponse:
        collection = await self.find(request.collection_name, context)
        collection.optimize()
        made = collection.request
        params = q.CollectionParams(
            shard_number=made.shard_number or 1,
            replication_factor=made.replication_factor or 1,
            write_consistency_factor=made.write_consistency_factor or 1,
            on_disk_payload=made.on_disk_payload,
            sparse_vectors_config=made.sparse_vectors_config,
            vectors_config=made.vectors_config if made.HasField("vectors_config") else None,
        )
        config = q.CollectionConfig(params=params, metadata=made.metadata)
        config.hnsw_config.CopyFrom(q.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000))
        config.optimizer_config.CopyFrom(
            q.OptimizersConfigDiff(
                deleted_threshold=0.2, vacuum_min_vector_number=1_000, default_segment_number=0, flush_interval_sec=5
            )
        )
        config.wal_config.CopyFrom(q.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0))
        return q.GetCollectionInfoResponse(
            result=q.CollectionInfo(
                status=q.CollectionStatus.Green,
                optimizer_status=q.OptimizerStatus(ok=True),
                config=config,
                points_count=collection.shard.count(qe.CountRequest(exact=True)),
                payload_schema={
                    path: q.PayloadSchemaInfo(data_type=_schema_type(index.data_type), points=index.points)
                    for path, index in collection.shard.info().payload_schema.items()
                },
            )
        )

    async def List(self, request: q.ListCollectionsRequest, context: Any) -> q.ListCollectionsResponse:
        return q.ListCollectionsResponse(collections=[q.CollectionDescription(name=name) for name in self.open])

    async def CollectionExists(self, request: q.CollectionExistsRequest, context: Any) -> q.CollectionExistsResponse:
        exists = self.aliases.get(request.collection_name, request.collection_name) in self.open
        return q.CollectionExistsResponse(result=q.CollectionExists(exists=exists))

    async def ListAliases(self, request: q.ListAliasesRequest, context: Any) -> q.ListAliasesResponse:
        return q.ListAliasesResponse(
            aliases=[q.AliasDescription(alias_name=alias, collection_name=of) for alias, of in self.aliases.items()]
        )

    async def UpdateAliases(self, request: q.ChangeAliases, context: Any) -> q.CollectionOperationResponse:
        aliases = dict(self.aliases)
        for action in request.actions:
            match action.WhichOneof("action"):
                case "create_alias":
                    await self.find(action.create_alias.collection_name, context)
                    aliases[action.create_alias.alias_name] = action.create_alias.collection_name
                case "delete_alias":
                    del aliases[action.delete_alias.alias_name]
                case other:
                    await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{other} is not in this helper")
        self.aliases = aliases  # all at once
        self._save_aliases()
        return q.CollectionOperationResponse(result=True)

    def _save_aliases(self) -> None:
        _write_whole(self._aliases_file, self.aliases)


class Points(q.PointsServicer):
    """The points of the collections."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    async def Upsert(self, request: q.UpsertPoints, context: Any) -> q.PointsOperationResponse:
        collection = await self._collections.find(request.collection_name, context)
        await _upsert(collection, request, context)
        return _done()

    async def UpdateBatch(self, request: q.UpdateBatchPoints, context: Any) -> q.UpdateBatchResponse:
        collection = await self._collections.find(request.collection_name, context)
        for operation in request.operations:
            if operation.WhichOneof("operation") != "upsert":
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this helper knows upserts only")
            await _upsert(collection, operation.upsert, context)
        return q.UpdateBatchResponse(result=[q.UpdateResult(status=q.UpdateStatus.Completed)] * len(request.operations))

    async def Get(self, request: q.GetPoints, context: Any) -> q.GetResponse:
        shard = (await self._collections.find(request.collection_name, context)).shard
        records = shard.retrieve(
            [_id(each) for each in request.ids],
            with_payload=_selected(request),
            with_vector=request.with_vectors.enable,
        )
        return q.GetResponse(result=[_retrieved(record) for record in records])

    async def Scroll(self, request: q.ScrollPoints, context: Any) -> q.ScrollResponse:
        shard = (await self._collections.find(request.collection_name, context)).shard
        scroll = qe.ScrollRequest(
            offset=_id(request.offset) if request.HasField("offset") else None,
            limit=request.limit if request.HasField("limit") else 10,
            filter=_asked(request),
            with_payload=_selected(request),
            with_vector=request.with_vectors.enable,
        )
        records, offset = shard.scroll(scroll)
        response = q.ScrollResponse(result=[_retrieved(record) for record in records])
        if offset is not None:
            response.next_page_offset.CopyFrom(_id_message(offset))
        return response

    async def Query(self, request: q.QueryPoints, context: Any) -> q.QueryResponse:
        shard = (await self._collections.find(request.collection_name, context)).shard
        return q.QueryResponse(result=_scored(shard.query(_query(request))))

    async def QueryBatch(self, request: q.QueryBatchPoints, context: Any) -> q.QueryBatchResponse:
        shard = (await self._collections.find(request.collection_name, context)).shard
        found = shard.query_batch(qe.QueryBatchRequest([_query(each) for each in request.query_points]))
        return q.QueryBatchResponse(result=[q.BatchResult(result=_scored(hits)) for hits in found])

    async def CreateFieldIndex(self, request: q.CreateFieldIndexCollection, context: Any) -> q.PointsOperationResponse:
        shard = (await self._collections.find(request.collection_name, context)).shard
        shard.update(qe.UpdateOperation.create_field_index(request.field_name, _INDEXES[request.field_type]))
        return _done()

    async def Count(self, request: q.CountPoints, context: Any) -> q.CountResponse:
        shard = (await self._collections.find(request.collection_name, context)).shard
        counted = qe.CountRequest(exact=request.exact, filter=_asked(request))
        return q.CountResponse(result=q.CountResult(count=shard.count(counted)))


class Root(q.QdrantServicer):
    """Says what the server is."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def HealthCheck(self, request: q.HealthCheckRequest, context: Any) -> q.HealthCheckReply:
        return q.HealthCheckReply(title="qdrant over edge, for tests", version=self._faults.version)


def _done() -> q.PointsOperationResponse:
    return q.PointsOperationResponse(result=q.UpdateResult(status=q.UpdateStatus.Completed))


def _id(message: q.PointId) -> int | UUID:
    return UUID(message.uuid) if message.HasField("uuid") else message.num


def _id_message(point_id: Any) -> q.PointId:
    return q.PointId(num=point_id) if isinstance(point_id, int) else q.PointId(uuid=str(point_id))


def _selected(request: Any) -> bool | list[str]:
    selector = request.with_payload
    return [*selector.include.fields] if selector.HasField("include") else selector.enable


def _retrieved(record: qe.Record) -> q.RetrievedPoint:
    return _with_content(q.RetrievedPoint(id=_id_message(record.id)), record)


def _scored(hits: Iterable[qe.ScoredPoint]) -> list[q.ScoredPoint]:
    return [
        _with_content(q.ScoredPoint(id=_id_message(hit.id), score=hit.score, version=hit.version), hit) for hit in hits
    ]


def _with_content(message: Any, point: Any) -> Any:
    """The message, with what was asked for of a point's payload and vectors."""
    for name, value in (point.payload or {}).items():
        fill_value(message.payload[name], value)
    for name, vector in (point.vector or {}).items():
        sparse = message.vectors.vectors.vectors[name].sparse
        sparse.indices.extend(vector.indices)
        sparse.values.extend(vector.values)
    return message


def _query(request: q.QueryPoints) -> qe.QueryRequest:
    sparse = request.query.nearest.sparse
    vector = qe.SparseVector([*sparse.indices], [*sparse.values])
    return qe.QueryRequest(
        limit=request.limit,
        query=qe.Query.Nearest(vector, request.using),
        filter=_asked(request),
        with_payload=_selected(request),
        with_vector=request.with_vectors.enable,
    )


_INDEXES = {
    q.FieldType.FieldTypeKeyword: qe.PayloadSchemaType.Keyword,
    q.FieldType.FieldTypeInteger: qe.PayloadSchemaType.Integer,
    q.FieldType.FieldTypeFloat: qe.PayloadSchemaType.Float,
    q.FieldType.FieldTypeBool: qe.PayloadSchemaType.Bool,
    q.FieldType.FieldTypeDatetime: qe.PayloadSchemaType.Datetime,
}


def _schema_type(kind: qe.PayloadSchemaType) -> q.PayloadSchemaType:
    return q.PayloadSchemaType.Value(str(kind).rpartition(".")[2])


def _asked(request: Any) -> qe.Filter | None:
    return _filter(request.filter) if request.HasField("filter") else None


def _filter(message: q.Filter) -> qe.Filter:
    # As the server has it: an empty list of alternatives is none, not one that nothing meets.
    must, should, must_not = (
        [_condition(each) for each in part] or None for part in (message.must, message.should, message.must_not)
    )
    return qe.Filter(must=must, should=should, must_not=must_not)


def _condition(message: q.Condition) -> Any:
    match message.WhichOneof("condition_one_of"):
        case "is_empty":
            return qe.IsEmptyCondition(message.is_empty.key)
        case "filter":
            return _filter(message.filter)
        case "field" if message.field.HasField("match"):
            return qe.FieldCondition(message.field.key, match=_match(message.field.match))
        case "field" if message.field.HasField("range"):
            bounds = {bound.name: value for bound, value in message.field.range.ListFields()}
            return qe.FieldCondition(message.field.key, range=qe.RangeFloat(**bounds))
        case "field" if message.field.HasField("datetime_range"):
            moments = {bound.name: value.ToJsonString() for bound, value in message.field.datetime_range.ListFields()}
            return qe.FieldCondition(message.field.key, range=qe.RangeDateTime(**moments))
    raise NotImplementedError(f"this helper knows no condition {message}")


def _match(message: q.Match) -> Any:
    match message.WhichOneof("match_value"):
        case "integer":
            return qe.MatchValue(message.integer)
        case "boolean":
            return qe.MatchValue(np.bool_(message.boolean))  # Edge takes Python's for the integer that it is, too
        case "keywords":
            return qe.MatchAny([*message.keywords.strings])
    raise NotImplementedError(f"this helper knows no match {message}")


async def _upsert(collection: _Collection, request: Any, context: Any) -> None:
    collection.dirty = True
    modes = {0: qe.UpdateMode.Upsert, 1: qe.UpdateMode.InsertOnly, 2: qe.UpdateMode.UpdateOnly}
    condition = _filter(request.update_filter) if request.HasField("update_filter") else None
    points = []
    for each in request.points:
        named = each.vectors.vectors.vectors
        vectors = {
            name: qe.SparseVector([*vector.sparse.indices], [*vector.sparse.values]) for name, vector in named.items()
        }
        points.append(qe.Point(_id(each.id), vectors, read_payload(each.payload)))
    operation = qe.UpdateOperation.upsert_points(points, condition, modes[request.update_mode])
    try:
        collection.shard.update(operation)
    except Exception as error:  # noqa: BLE001  # what the engine raises: the server answers INVALID_ARGUMENT
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def serve(
    folder: Path,
    port: int,
    faults: Faults,
    started: Callable[[int], None],
    stop: asyncio.Event,
    credentials: grpc.ServerCredentials | None = None,
) -> None:
    """Serves a folder until it is told to stop."""
    collections = Collections(folder)
    server = grpc.aio.server(interceptors=[_FaultInterceptor(faults)], options=OPTIONS)
    q.add_CollectionsServicer_to_server(collections, server)
    q.add_PointsServicer_to_server(Points(collections), server)
    q.add_QdrantServicer_to_server(Root(faults), server)
    address = f"127.0.0.1:{port}"
    bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    started(bound)
    await stop.wait()
    await server.stop(0)
    collections.close()


@dataclass(frozen=True, slots=True)
class RunningQdrant:
    """A server that runs: its address for `KINDRED_QDRANT_URL`, and what goes wrong with it."""

    url: str
    faults: Faults


@contextmanager
def qdrant_over_edge(
    folder: Path, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> Iterator[RunningQdrant]:
    """Serves a folder on a thread of this process.

    Args:
        folder: Where the collections are kept.
        port: The port; 0 takes a free one.
        credentials: For TLS; the URL is then for localhost.
    """
    faults = Faults()
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ports: list[int] = []

    def started(bound: int) -> None:
        ports.append(bound)
        ready.set()

    def run() -> None:
        try:
            loop.run_until_complete(serve(folder, port, faults, started, stop, credentials))
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run, name="qdrant-over-edge")
    thread.start()
    ready.wait(30)
    try:
        url = f"https://localhost:{ports[0]}" if credentials else f"http://127.0.0.1:{ports[0]}"
        yield RunningQdrant(url, faults)
    finally:
        faults.heal()
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


def main() -> None:
    """Serves a folder on a port until it is killed, and says so on standard output."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    asyncio.run(serve(folder, port, Faults(), lambda bound: print(bound, flush=True), asyncio.Event()))


if __name__ == "__main__":
    main()
