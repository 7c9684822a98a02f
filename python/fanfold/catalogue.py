"""The catalogue of native kernels as data, as a table by family, and with a search.

All facts come from the compiled catalogue; only the names of the families are written here.
"""

import ast
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from fanfold import _core, suggestions
from fanfold.kernel_names import KernelName
from fanfold.show import text
from fanfold.tracebacks import raise_on_purpose, shown_at_the_call


class Parameter(NamedTuple):
    """A parameter of a kernel."""

    name: str
    """NumPy's or SciPy's name."""
    default: Any
    """The value if the parameter is not given."""
    accepts: str
    """What it accepts, in words."""
    doc: str
    """What it means."""


class KernelInfo(NamedTuple):
    """The entry of a kernel in the catalogue."""

    name: KernelName
    """Its name, which is also the key of its result."""
    doc: str
    """What it means, and what it returns for empty arrays and NaN."""
    parameters: tuple[Parameter, ...]
    """The parameters that you can set."""
    numpy: str
    """The Python expression that gives the same result. It uses ``x``, ``np``, ``stats``, ``special`` and the
    parameters; for kernels of two arrays ``x`` and ``y``, for kernels of all arrays ``columns``."""
    dtypes: tuple[str, ...]
    """The element dtypes that it accepts."""
    examples: tuple[dict[str, Any], ...]
    """Example parameters, each as keyword arguments; the first example is the defaults."""
    passes: int
    """The number of passes over memory that it takes alone, with the default parameters."""
    arrays: str
    """How many arrays it takes: ``"one"``, ``"two"`` or ``"all"``."""
    weighted: bool
    """Whether it takes weights."""
    answers: str
    """The shape of its result: ``"number"``, ``"positions"``, ``"quantiles"``, ``"matrix"``, ``"items"`` or
    ``"record"``."""
    approximate: bool
    """Whether its result only approximates that of the NumPy expression."""
    family: str
    """The group of kernels that it belongs to, like ``"quantiles"``."""

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.doc.split("\n", 1)[0]


FAMILIES = {
    "count": "counts",
    "sum": "sums and means",
    "var": "spread and shape",
    "min": "smallest and largest",
    "norm": "norms and other means",
    "median": "quantiles",
    "topk": "order",
    "n_unique": "distinct values",
    "histogram": "bins",
    "cumsum": "running along the array",
    "zscore": "scores and ranks",
    "rolling_sum": "windows",
    "cov": "of two arrays",
    "cov_matrix": "of all arrays",
}
"""The families, by their first kernels: the catalogue is in the order of the documentation."""


LEAST_OF_AN_EXPRESSION = 20
"""The characters of NumPy's expressions that must fit on the screen, else the table shows none of them."""


class Catalogue(list[KernelInfo]):
    """Kernels: a ``list`` of `KernelInfo` that shows itself as a table by family, with one line for each kernel."""

    def __init__(self, kernels: Iterable[KernelInfo], search: str = "") -> None:
        super().__init__(kernels)
        self._search = search

    def __repr__(self) -> str:
        if not self:
            return self._nothing()
        width = text.screen()
        names = 2 + max(len(info.name) for info in self)
        summaries = 2 + max(len(_summary(info)) for info in self)
        has_room = width >= 2 + names + summaries + LEAST_OF_AN_EXPRESSION
        lines = [self._headline()]
        for family, kernels in self.families():
            lines.append(family)
            for info in kernels:
                expression = info.numpy if has_room else ""
                lines.append(f"  {info.name:{names}}{_summary(info):{summaries}}{expression}".rstrip())
        return text.fitted(lines, width)

    def _repr_html_(self) -> str:
        from html import escape

        if not self:
            return f"<div>{escape(self._nothing())}</div>"
        rows = []
        for family, kernels in self.families():
            rows.append(f'<tr><th colspan="3" style="text-align: left">{escape(family)}</th></tr>')
            for info in kernels:
                cells = (f"<code>{info.name}</code>", escape(_summary(info)), f"<code>{escape(info.numpy)}</code>")
                rows.append("<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in cells) + "</tr>")
        return f"<div><div>{escape(self._headline())}</div><table>{''.join(rows)}</table></div>"

    def families(self) -> list[tuple[str, list[KernelInfo]]]:
        """Return the families and their kernels."""
        return [(family, list(kernels)) for family, kernels in groupby(self, key=lambda info: info.family)]

    def _headline(self) -> str:
        told = text.counted(len(self), "kernel")
        return f"{told} for {self._search!r}" if self._search else told

    def _nothing(self) -> str:
        known = {info.name for info in kernels()} | suggestions.SYNONYMS.keys()
        import difflib

        near = difflib.get_close_matches(self._search.lower(), known, n=3, cutoff=0.7)
        meant = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        instead = suggestions.instead(self._search)
        advice = f"For it, {instead}. " if instead else meant
        return f"No kernel for {self._search!r}. {advice}Any other function can be passed as a callable."


def _summary(info: KernelInfo) -> str:
    return info.summary.replace("``", "")


@shown_at_the_call
def kernels(search: str = "") -> Catalogue:
    """Return the catalogue of native kernels.

    Parameters
    ----------
    search : str
        Words to look for: in the names of the kernels, here and in other libraries, the first lines of their
        documentation, the expressions of NumPy that give the same results, and the names of the families. Kernels that
        have all of the words are returned.

    Returns
    -------
    Catalogue
        A ``list`` of `KernelInfo`, shown as a table.

    Examples
    --------
    >>> import fanfold as ff
    >>> ff.kernels("deviation median")
    1 kernel for 'deviation median'
    quantiles
      median_abs_deviation  The median of the absolute distances from the center.
    >>> {k.name: k.numpy for k in ff.kernels()}["std"]
    'np.std(x, ddof=ddof)'
    """
    if not isinstance(search, str):
        wrong = f"search must be a str, not {type(search).__name__}"
        raise_on_purpose(TypeError(f"{wrong}: pass words to look for, as in 'quantile'"))
    words = search.lower().split()
    meant = {word: suggestions.meant(word) for word in {*words, search} if word}
    found = []
    family = ""
    for name, doc, parameters, numpy, dtypes, examples, *facts in _core.catalogue():
        family = FAMILIES.get(name, family)
        made = tuple(Parameter(*each) for each in parameters)
        info = KernelInfo._make((name, doc, made, numpy, dtypes, _examples(examples), *facts, family))
        told = f"{name} {info.summary} {numpy} {family}".lower()
        if meant.get(search) == name or all(word in told or meant[word] == name for word in words):
            found.append(info)
    return Catalogue(found, search.strip())


def _examples(texts: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Return the defaults, and the keyword arguments in each text as a dict."""
    calls = [ast.parse(f"f({text})", mode="eval").body for text in ("", *texts)]
    keywords = [call.keywords for call in calls if isinstance(call, ast.Call)]
    return tuple({str(word.arg): ast.literal_eval(word.value) for word in words} for words in keywords)
