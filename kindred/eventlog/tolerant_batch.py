"""Reads the records of a batch one by one: kafka-python gives up a batch at the first record that it cannot read."""

from typing import Any

from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from kindred.eventlog.broker import UNREADABLE


class TolerantBatch(DefaultRecordBatch):  # type: ignore[misc]  # the library has no types
    """A batch in which an unreadable record, for instance one with a header's name that is no text, stands for itself.

    Such a record has its offset and time and one header, `UNREADABLE`, with the reason. A batch whose lengths or
    checksum are wrong is given up as before.
    """

    def __next__(self) -> Any:
        """The next record."""
        if self._next_record_index >= self._num_records:
            return super().__next__()
        start = self._pos
        try:
            return super().__next__()
        except CorruptRecordError as error:
            return self._unreadable(start, error)

    def _unreadable(self, start: int, error: Exception) -> Any:
        try:
            length, begin = decode_varint(self._buffer, start)
            _, pos = decode_varint(self._buffer, begin)  # attributes
            time_delta, pos = decode_varint(self._buffer, pos)
            offset_delta, pos = decode_varint(self._buffer, pos)
        except (ValueError, IndexError):
            raise error from None
        if not pos <= begin + length <= len(self._buffer):
            raise error
        self._pos = begin + length
        self._next_record_index += 1
        late = self.timestamp_type == self.LOG_APPEND_TIME
        time = self.max_timestamp if late else self.first_timestamp + time_delta
        why = [(UNREADABLE, str(error).encode())]
        return DefaultRecord(length, self.base_offset + offset_delta, time, self.timestamp_type, None, None, why)


def read_tolerantly() -> None:
    """Lets every consumer of kafka-python in this process read so. Idempotent."""
    memory_records.DefaultRecordBatch = TolerantBatch
