"""Covariances and correlations of one or two formulas."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import deferred
from fanfold.tracing.nodes import Node, Selection
from fanfold.tracing.rules.registry import rule
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import cast, elements_of, float_state, may_defer


def _vector(trace: Trace, value: Any) -> Node | None:
    """The node of a vector's elements in float64."""
    node = elements_of(trace, value)
    if node is None or node.dtype.kind not in "fiu" or isinstance(node.shape, Selection) or len(node.shape) != 1:
        return None
    return cast(trace, node, np.dtype(np.float64))


def _products(trace: Trace, m: Any, y: Any, ddof: int) -> npt.NDArray[Any] | None:
    """The covariances: sums of products of the distances from the means."""
    nodes = [_vector(trace, each) for each in ((m,) if y is None else (m, y))]
    if not may_defer(trace, float_state()):
        return None
    rows: list[Any] = [deferred(trace, node) for node in nodes if node is not None]
    if len(rows) < len(nodes) or len({row.shape for row in rows}) > 1 or rows[0].size <= ddof:
        return None
    distances = [row - row.mean() for row in rows]
    pairs = [(i, k) for i in range(len(rows)) for k in range(i + 1)]
    with np.errstate(all="ignore"):
        # A scalar product does not warn of its products.
        sums = [(distances[i] * distances[k]).sum() for i, k in pairs]
    # One sweep for all of them.
    trace.know([each._node for each in sums], at_once=True)
    products = np.empty((len(rows), len(rows)))
    for (i, k), each in zip(pairs, sums, strict=True):
        products[i, k] = products[k, i] = each._node.value
    products *= np.true_divide(1, rows[0].size - ddof)
    return products


@rule(np.cov)
def _cov(trace: Trace, m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None) -> Any:
    if rowvar is not True or type(bias) is not bool or type(ddof) not in (int, type(None)):
        return None
    products = _products(trace, m, y, (0 if bias else 1) if ddof is None else ddof)
    return None if products is None else products.squeeze()


@rule(np.corrcoef)
def _corrcoef(trace: Trace, x: Any, y: Any = None, rowvar: Any = True) -> Any:
    products = _products(trace, x, y, 1) if rowvar is True else None
    if products is None:
        return None
    if y is None:
        products = products.squeeze()
        return products / products
    deviations = np.sqrt(np.diag(products))
    products /= deviations[:, None]
    products /= deviations[None, :]
    return np.clip(products, -1, 1, out=products)
