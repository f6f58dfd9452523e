import re
from pathlib import Path

import pytest

from kindred.settings import Settings
from loader.evaluation.options import EvaluationOptions, ProductSpec
from loader.evaluation.plot import curves, level_lines, plot_curve
from loader.evaluation.run import Evaluation, evaluate
from loader.progress import NoProgress
from tests.support.rating_tables import random_table


@pytest.fixture
async def evaluation() -> Evaluation:
    """A recipe with a curve of three points, one without, and a peer."""
    options = EvaluationOptions(
        products=[ProductSpec("default"), ProductSpec("default", 7)],
        peers=["popularity"],
        k_curve=(30, 2, 8),
        resamples=20,
    )
    return await evaluate(random_table(users=30), options, Settings(), NoProgress())


async def test_a_curve_ascends_with_k(evaluation: Evaluation) -> None:
    """A recipe's points are in the order of K, and are what was measured there; the others are level lines."""
    found = curves(list(evaluation.results))
    measured = {each.k: each.means["ndcg"] for each in evaluation.results if each.curve}
    assert list(found) == ["default"]
    assert list(found["default"].items()) == [(k, measured[k]) for k in (2, 8, 30)]
    assert [each.contestant for each in level_lines(list(evaluation.results))] == ["default:k=7", "popularity"]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
async def test_a_plot_names_everybody(evaluation: Evaluation, tmp_path: Path, suffix: str) -> None:
    """The picture has every contestant in its legend, and says what is on its axes."""
    pytest.importorskip("matplotlib")
    plot_curve(evaluation, tmp_path / f"curve{suffix}")
    drawn = (tmp_path / f"curve{suffix}").read_bytes()
    if suffix == ".png":
        assert drawn.startswith(b"\x89PNG")
        return
    texts = set(re.findall(r"<!-- (.*?) -->", drawn.decode()))
    assert {"default", "default:k=7", "popularity", "small: random", "NDCG@10", "K, neighbors", "2", "8", "30"} <= texts
