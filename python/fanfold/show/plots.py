"""Results as plots of matplotlib: an axes for each result that has a picture.

Histograms are stairs, quantiles boxes, arrays lines, numbers of groups bars, histograms of groups small multiples.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fanfold.checks import shown
from fanfold.show.layout import each_group, labels_of
from fanfold.show.optional import imported
from fanfold.show.pictures import Box, box, levels_of
from fanfold.show.text import label
from fanfold.tracebacks import raise_on_purpose

MOST_PLOTS = 24
"""The most groups that are drawn as small multiples."""

MOST_BARS = 40
"""The most groups whose numbers are bars with labels. More are a line."""


class Plot(NamedTuple):
    """What fills one axes."""

    title: str
    draw: Callable[[Any], object]
    of_groups: Any = None
    """The key of the result whose groups this and other plots show, on the same scales."""


def plotted(
    values: Mapping[Any, Any],
    columns: Sequence[Any] | None,
    groups: Any,
    kernels: Mapping[Any, Any],
    ax: Any,
) -> Any:
    """Draw results, and return the axes: one, or an array of them.

    Parameters
    ----------
    values, columns, groups, kernels
        The results by key, the columns of a table, the labels of groups, and the kernels by key.
    ax
        Where to draw: an axes, or as many as there are plots; None for a new figure.
    """
    plots = list(_plots(values, columns, None if groups is None else labels_of(groups), kernels))
    if not plots:
        remedy = 'ask for ff.histogram(), ff.quantile([0.25, 0.5, 0.75]) or an array like "cumsum", or pass by='
        raise_on_purpose(ValueError(f"the results are numbers or texts, of which there is no plot: {remedy}"))
    axes = _new_axes(len(plots)) if ax is None else _given_axes(ax, plots)
    first: dict[Any, Any] = {}
    for plot, own in zip(plots, axes, strict=True):
        plot.draw(own)
        own.set_title(plot.title)
        if plot.of_groups is not None:
            leader = first.setdefault(plot.of_groups, own)
            if leader is not own:
                own.sharex(leader)
                own.sharey(leader)
    for own in first.values():
        own.autoscale()
    return axes[0] if len(axes) == 1 else np.array(axes)


def _given_axes(ax: Any, plots: Sequence[Plot]) -> list[Any]:
    axes = list(np.ravel(np.asarray(ax, object)))
    others = [own for own in axes if not hasattr(own, "set_title")]
    if others:
        raise_on_purpose(TypeError(f"ax must be axes of matplotlib, not {shown(others[0])}"))
    if len(axes) != len(plots):
        names = ", ".join(plot.title for plot in plots[:5]) + (", …" if len(plots) > 5 else "")
        wrong = f"ax has {len(axes):,} axes for {len(plots):,} plots ({names})"
        raise_on_purpose(ValueError(f"{wrong}: name results, as in plot(key)"))
    return axes


def _new_axes(count: int) -> list[Any]:
    plt = imported("matplotlib.pyplot", "plot", "pip install matplotlib")
    across = min(count, 4 if count > 6 else 3)
    down = math.ceil(count / across)
    figure = plt.figure(figsize=(max(6.4, 3.4 * across), max(4.8, 2.6 * down)), layout="constrained")
    return [figure.add_subplot(down, across, place + 1) for place in range(count)]


def _plots(
    values: Mapping[Any, Any], columns: Sequence[Any] | None, labels: Sequence[Any] | None, kernels: Mapping[Any, Any]
) -> Iterator[Plot]:
    described = list(_described(values, columns, labels))
    yield from described
    for key, value in () if described else values.items():
        levels, kernel = levels_of(kernels.get(key)), kernels.get(key)
        of_columns = value if columns is not None and isinstance(value, dict) else {None: value}
        for column, own in of_columns.items():
            title = label(key) if of_columns is not value else f"{label(key)} of {label(column)}"
            parts = None if labels is None else each_group(own, len(labels), kernel)
            if parts is None or labels is None:
                yield from _one(title, own, levels)
            else:
                yield from _of_groups(title, parts, labels, levels)


def _one(title: str, of: Any, levels: Sequence[float] | None, of_groups: Any = None) -> Iterator[Plot]:
    """The plot of a single result, if it has one."""
    fields = getattr(of, "_fields", None)
    if levels is not None:
        found = box(of, levels)
        if found is not None:
            yield Plot(title, _boxes({title: found}))
    elif fields == ("counts", "edges") and np.ndim(of.counts) == 1:
        yield Plot(title, lambda ax: ax.stairs(of.counts, of.edges, fill=True), of_groups)
    elif fields == ("values", "counts") and np.ndim(of.counts) == 1:
        yield Plot(title, lambda ax: ax.bar(of.values, of.counts), of_groups)
    elif fields is None and getattr(of, "ndim", 0) == 1 and of.dtype.kind in "biufmM":
        yield Plot(title, lambda ax: ax.plot(of), of_groups)


def _of_groups(
    title: str, parts: Sequence[Any], labels: Sequence[Any], levels: Sequence[float] | None
) -> Iterator[Plot]:
    """The plots of a result for each group."""
    names = [label(each) for each in labels]
    if levels is not None:
        found = [box(each, levels) for each in parts]
        drawn = {name: own for name, own in zip(names, found, strict=True) if own is not None}
        if drawn:
            yield Plot(title, _boxes(drawn))
    elif isinstance(parts, np.ndarray) and parts.ndim == 1:
        if parts.dtype.kind in "biuf":
            yield Plot(title, _bars(names, parts))
    else:
        for name, own in list(zip(names, parts, strict=True))[:MOST_PLOTS]:
            yield from _one(f"{title}, {name}", own, None, of_groups=title)


def _described(
    values: Mapping[Any, Any], columns: Sequence[Any] | None, labels: Sequence[Any] | None
) -> Iterator[Plot]:
    """The boxes of what `describe` found in each column."""
    names = ("min", "25%", "50%", "75%", "max")
    if not all(name in values for name in names):
        return
    for column in [None] if columns is None else columns:
        rows = [values[name].get(column) if columns is not None else values[name] for name in names]
        if any(row is None for row in rows):
            continue
        title = "describe" if column is None else label(column)
        each = [rows] if labels is None else list(zip(*rows, strict=True))
        titles = [title] if labels is None else [label(own) for own in labels]
        found = {
            name: Box(*map(float, own))
            for name, own in zip(titles, each, strict=True)
            if all(isinstance(row, np.number) and np.isfinite(row) for row in own)
        }
        if found:
            yield Plot(title, _boxes(found))


def _boxes(of: Mapping[str, Box]) -> Callable[[Any], object]:
    drawn = [
        {
            "label": name,
            "whislo": each.low,
            "q1": each.first,
            "med": math.nan if each.middle is None else each.middle,
            "q3": each.third,
            "whishi": each.high,
        }
        for name, each in of.items()
    ]

    def draw(ax: Any) -> None:
        ax.bxp(drawn, showfliers=False)
        if len(drawn) == 1:
            ax.set_xticks([])

    return draw


def _bars(names: Sequence[str], numbers: Any) -> Callable[[Any], object]:
    if len(names) > MOST_BARS:
        return lambda ax: ax.plot(numbers)

    def draw(ax: Any) -> None:
        ax.bar(range(len(names)), numbers)
        ax.set_xticks(range(len(names)), names, rotation=90 if len(names) > 8 else 0)

    return draw
