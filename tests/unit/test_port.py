import json
from uuid import UUID

import numpy as np
import pytest

from kindred.errors import SchemaError
from kindred.ratings import RatingScale
from kindred.scales import PRESETS
from kindred.stores.port import SCHEMA_VERSION, CollectionMetadata, LogPosition, point_id_of
from kindred.weighting import LikingWeighting, Weighting, ZScoreWeighting

SCALE = RatingScale(0.5, 5.0)


class TestPointId:
    @pytest.mark.parametrize(
        "number", [0, 7, 10, 2**31, 2**63 - 1, 2**63, 2**64 - 1], ids=["0", "7", "10", "31", "63-", "63", "64-"]
    )
    def test_a_number_of_64_bits_is_the_point(self, number: int) -> None:
        """A decimal id from 0 to 2^64 - 1 is the point's id itself."""
        assert point_id_of(str(number)) == number

    @pytest.mark.parametrize(
        "user_id",
        [
            "18446744073709551616",
            "9" * 256,
            "00",
            "007",
            "-1",
            "+1",
            "1.0",
            "1e3",
            " 1",
            "1 ",
            "1_0",
            "\u0667",
            "²",
            "",
        ],
    )
    def test_anything_else_is_hashed(self, user_id: str) -> None:
        """An id beyond 64 bits, or not in the shortest decimal form, is a point under a UUID of version 5."""
        point_id = point_id_of(user_id)
        assert isinstance(point_id, UUID)
        assert point_id.version == 5

    def test_the_hash_never_changes(self) -> None:
        """Known ids are where collections that were loaded long ago have them."""
        assert point_id_of("ann") == UUID("a963e665-0905-522e-87fb-a54588921614")
        assert point_id_of("007") != point_id_of("07")


class TestLogPosition:
    @pytest.mark.parametrize(
        ("other", "included"),
        [
            (LogPosition("t", 1, 4), True),
            (LogPosition("t", 1, 5), True),
            (LogPosition("t", 1, 6), False),
            (LogPosition("t", 2, 4), False),
            (LogPosition("u", 1, 4), False),
        ],
    )
    def test_a_place_includes_what_came_before_it(self, other: LogPosition, *, included: bool) -> None:
        """Everything up to a place is included, within its own partition of its own topic only."""
        assert LogPosition("t", 1, 5).includes(other) is included


class TestCollectionMetadata:
    @pytest.mark.parametrize("weighting", [LikingWeighting(SCALE, 3.25), ZScoreWeighting(3.5287, 1.1257)])
    def test_metadata_reads_back(self, weighting: Weighting) -> None:
        """What was written as JSON is read as the same."""
        metadata = CollectionMetadata("ml-100k", SCALE, weighting, "2024-05-06T07:08:09+00:00")
        assert CollectionMetadata.from_json(metadata.to_json(), "here") == metadata

    @pytest.mark.parametrize("scale", PRESETS.values(), ids=PRESETS)
    def test_a_scale_reads_back_with_its_curve(self, scale: RatingScale) -> None:
        """What the values of a scale mean is part of the metadata, for every one that has a name."""
        metadata = CollectionMetadata("songs", scale, LikingWeighting(scale), "2024-05-06T07:08:09+00:00")
        read = CollectionMetadata.from_json(json.loads(json.dumps(metadata.to_json())), "here")
        assert read == metadata
        assert hash(read.scale) == hash(scale)

    def test_a_scale_without_a_curve_is_written_as_ever(self) -> None:
        """Metadata from before there were curves is the straight line's, and a straight line is written like that."""
        written = {
            "schema_version": SCHEMA_VERSION,
            "name": "ml-100k",
            "scale": {"minimum": 1.0, "maximum": 10.0},
            "weighting": {"name": "default", "parameters": {"shrinkage": 5.0}},
            "created_at": "2024",
            "included": [],
        }
        read = CollectionMetadata.from_json(written, "here")
        assert read.scale == RatingScale(1.0, 10.0)
        assert read.scale.stars(np.array([1, 7, 10])).tolist() == [0.5, 3.5, 5.0]
        assert read.to_json() == written

    @pytest.mark.parametrize(
        "curve", ["line", [[1, 1]], [[1, 1], [11, 5]], [[1, 1], [10]], [[1, 1], [10, "many"]], [1, 10], None, 7]
    )
    def test_a_damaged_curve_is_a_schema_error(self, curve: object) -> None:
        """A curve that is none is never taken for another one."""
        data = CollectionMetadata("songs", RatingScale(1, 10), LikingWeighting(SCALE), "2024").to_json()
        data["scale"]["curve"] = curve
        with pytest.raises(SchemaError, match="the metadata of here is damaged"):
            CollectionMetadata.from_json(data, "here")

    @pytest.mark.parametrize("field", ["schema_version", "name", "scale", "weighting", "created_at"])
    def test_a_missing_field_is_a_schema_error(self, field: str) -> None:
        """Metadata that lacks a field names the collection and the command that mends it."""
        data = CollectionMetadata("ml-100k", SCALE, LikingWeighting(SCALE), "2024").to_json()
        del data[field]
        with pytest.raises(SchemaError, match=r"here.*--replace") as failed:
            CollectionMetadata.from_json(data, "here")
        assert failed.value.subject == "here"
