"""Filters on users as the embedded engine's own conditions."""

import numpy as np
import qdrant_edge as qe

from kindred.stores.clauses import BooleanIs, Clause, Clauses, NumberIn, OneOf, Present, TextIn, TimeFrom, clauses_of
from kindred.user_filter import UserFilter


def edge_filter(allowed: UserFilter | None) -> qe.Filter | None:
    """The engine's filter; None for everybody.

    Args:
        allowed: Which users; None for all.
    """
    return filter_of(clauses_of(allowed)) if allowed else None


def filter_of(clauses: Clauses) -> qe.Filter:
    """The engine's filter for clauses. Its lists are left out where they are empty, not given empty."""
    must, should, must_not = (
        [_condition(each) for each in part] or None for part in (clauses.must, clauses.should, clauses.must_not)
    )
    return qe.Filter(must=must, should=should, must_not=must_not)


def _condition(clause: Clause) -> "qe.ConditionType":
    match clause:
        case TextIn(key, values):
            return qe.FieldCondition(key, match=qe.MatchAny(list(values)))
        case BooleanIs(key, value):
            # A Python bool would be taken for the integer that it is, too; numpy's is none.
            return qe.FieldCondition(key, match=qe.MatchValue(np.bool_(value)))  # type: ignore[arg-type]  # see above
        case NumberIn(key, at_least, at_most):
            return qe.FieldCondition(key, range=qe.RangeFloat(gte=at_least, lte=at_most))
        case TimeFrom(key, at):
            return qe.FieldCondition(key, range=qe.RangeDateTime(gte=f"{np.datetime64(at, 'ms')}Z"))
        case Present(key):
            return qe.Filter(must_not=[qe.IsEmptyCondition(key)])
        case OneOf(clauses):
            return qe.Filter(should=[_condition(each) for each in clauses])
