"""What came out of an evaluation, as JSON and as rows of a table. The same evaluation gives the same bytes."""

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any

import numpy as np

from loader.evaluation.bootstrap import Estimate
from loader.evaluation.rating_errors import RatingErrors
from loader.evaluation.run import Evaluation, Result

_DIGITS = 6
"""More would be the order of additions, which differs between machines."""
_NAMES = ("split", "contestant", "at")
_METRICS = ("NDCG", "95 %", "Recall", "HitRate", "MRR", "coverage", "popularity", "novelty")
_ERRORS = ("RMSE", "MAE", "predicted")
_TIMES = ("ready s", "ms/user")


def to_json(evaluation: Evaluation, *, timed: bool = False) -> dict[str, Any]:
    """Everything, as a JSON object.

    Args:
        evaluation: The evaluation.
        timed: Whether to say how long things took: this differs each time.
    """
    options, found = evaluation.options, evaluation.split
    train = found.table.where(found.train)
    split: dict[str, Any] = {"kind": options.split.kind, "seed": options.split.seed}
    if options.split.kind == "time":
        split["n_out"] = options.split.n_out
    else:
        split["share"] = options.split.share
    return {
        "data_set": {
            "name": evaluation.table.name,
            "users": int(np.unique(evaluation.table.users).size),
            "items": len(evaluation.table.items),
            "ratings": int(evaluation.table.users.size),
        },
        "split": split | {"part": "validation" if options.split.validation else "test"},
        "stored": {"users": int(np.unique(train.users).size), "ratings": int(train.users.size)},
        "shrinkage": options.shrinkage,
        "bootstrap": {"resamples": options.resamples, "level": 0.95},
        "tasks": [
            {
                "name": task.name,
                "users": int(task.users.size),
                "users_without_relevant": task.left_out,
                "held_out": int(np.count_nonzero(task.held_out)),
            }
            for task in evaluation.tasks
        ],
        "results": [_result(result, timed=timed) for result in evaluation.results],
    }


def _result(result: Result, *, timed: bool) -> dict[str, Any]:
    about: dict[str, Any] = {"task": result.task, "contestant": result.contestant, "at": result.at}
    if result.curve:
        about |= {"curve": result.curve, "k": result.k}
    about["metrics"] = {name: _estimate(estimate) for name, estimate in result.means.items()}
    about["metrics"]["coverage"] = {"value": _rounded(result.coverage)}
    if result.errors is not None:
        about["predicted_ratings"] = {
            "rmse": _estimate(result.errors.rmse),
            "mae": _estimate(result.errors.mae),
            "predicted": {"value": _rounded(result.errors.predicted)},
        }
    if timed:
        about["prepare_seconds"] = _rounded(result.prepare_seconds)
        about["milliseconds_per_user"] = _rounded(result.milliseconds)
    return about


def _estimate(estimate: Estimate) -> Mapping[str, float | None]:
    names = ("value", "low", "high")
    return {name: _rounded(number) for name, number in zip(names, estimate, strict=True)}


def _rounded(number: float) -> float | None:
    return None if isnan(number) else round(number, _DIGITS)


def summary(evaluation: Evaluation) -> Iterator[str]:
    """What was evaluated, in lines for people."""
    about = to_json(evaluation)
    data, stored, part = about["data_set"], about["stored"], about["split"]["part"]
    yield f"{data['name']}: {data['ratings']:,} ratings of {data['items']:,} items by {data['users']:,} users"
    for task in about["tasks"]:
        left_out = task["users_without_relevant"]
        yield (
            f"{task['name']} ({part} part): {task['held_out']:,} ratings held out, {stored['ratings']:,} of "
            f"{stored['users']:,} users stored; {task['users']:,} users asked"
            + (f", {left_out:,} more have no like held out" if left_out else "")
        )


def headings(evaluation: Evaluation, *, timed: bool = False) -> tuple[str, ...]:
    """The headings of the table.

    Args:
        evaluation: The evaluation.
        timed: Whether to say how long things took.
    """
    return _NAMES + _METRICS + (_ERRORS if evaluation.options.predictions else ()) + (_TIMES if timed else ())


def rows(evaluation: Evaluation, *, timed: bool = False) -> Iterator[list[str]]:
    """The table's rows: a text for each heading; what is as in the row before is left out.

    Args:
        evaluation: The evaluation.
        timed: Whether to say how long things took.
    """
    before = ""
    for result in evaluation.results:
        cells = ["" if result.task == before else result.task, *_metric_cells(result)]
        if evaluation.options.predictions:
            cells += _error_cells(result.errors)
        if timed:
            cells += [f"{result.prepare_seconds:.2f}", f"{result.milliseconds:.2f}"]
        before = result.task
        yield cells


def _metric_cells(result: Result) -> list[str]:
    means = result.means
    ndcg = means["ndcg"]
    return [
        result.contestant,
        str(result.at),
        f"{ndcg.mean:.4f}",
        f"{ndcg.low:.4f}-{ndcg.high:.4f}",
        f"{means['recall'].mean:.4f}",
        f"{means['hit_rate'].mean:.4f}",
        f"{means['mrr'].mean:.4f}",
        f"{result.coverage:.4f}",
        f"{means['mean_popularity'].mean:.4f}",
        f"{means['novelty'].mean:.3f}",
    ]


def _error_cells(errors: RatingErrors | None) -> list[str]:
    if errors is None or not errors.predicted:
        return ["", "", ""]
    return [f"{errors.rmse.mean:.4f}", f"{errors.mae.mean:.4f}", f"{errors.predicted:.4f}"]
