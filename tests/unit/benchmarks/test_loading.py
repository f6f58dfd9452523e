import os
import sys

import pytest

from benchmarks.loading import Load, main, table
from benchmarks.processes import memory


def test_the_table_has_a_row_for_each_load() -> None:
    """A row has the size, the seconds, the engine's, their ratio, and the megabytes."""
    [*_, row] = table([Load("2M", 2_000_000, 3.0, 2.0, 1_234.4, 567.0, 89.0)]).splitlines()
    assert row == "| 2M | 2,000,000 | 3.0 | 2.0 | 1.50 | 1,234 | 567 | 89 |"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_process_is_read() -> None:
    """A running process has both figures, in megabytes; one that has ended has none."""
    found = memory(os.getpid())
    assert 10 < found["RssAnon"] <= found["VmHWM"] < 100_000
    assert memory(2**22 + 1) == {}


def test_a_wrong_size_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A size that is none ends the command before anything is generated, and says which there are."""
    with pytest.raises(SystemExit):
        main(["--sizes", "100K,huge"])
    assert "no size 'huge'" in capsys.readouterr().err
