"""Random programs in the vocabulary of people's functions, and the differences between a run of them and their calls.

A program is the source of a function of `v`: assignments, aliases, in-place operations, masks, statistics, branches,
loops, exceptions that it catches or not. `Writer` writes one for each seed; `differences` compares runs of programs
with their plain calls; `shrunk` drops statements as long as the difference stays.

    python tests/programs.py 100000            so many programs, from seed 0 on
    python tests/programs.py --seed 4711       one program, shown and compared

What is compared: types, dtypes, shapes and values, exceptions with their texts, and warnings. Values that no statistic
went into have the same bits. Those that an order statistic went into are equal: a minimum does not keep the sign of a
zero. Where sums went in, there is a tolerance, as in `test_tracing.py`.
"""

import argparse
import os
import random
import re
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import fanfold as ff
from fanfold.checks import locked
from fanfold.tracing import calls

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

SHORTEST = 8
"""Arrays of this many elements are traced here."""

# ------------------------------------------------------------------------------------------------- vocabulary

BITS, EQUAL, CLOSE = range(3)
"""How near a value must come: its bits, its value, or but for the rounding of what is added up."""

CONSTANTS = ("0", "1", "2", "-1", "3", "0.5", "-1.5", "2.0", "np.float32(0.5)", "np.int64(2)", "True")
POWERS = ("2", "3", "2.0", "0.5", "-1", "1", "0", "4")
SLICES = ("1:", ":-1", "2:-2", "::2", "::-1", "3:20", ":5", "10:", "-3:", "5:5")
DTYPES = ("float", "int", "bool", "np.float32", "np.int32", "np.float16", "'f8'", "np.int8", "complex")
PERCENTS = ("75", "5", "50", "97.5", "0", "100", "[25, 75]", "[5, 50.0, 95]")
QUANTILES = ("0.5", "0.25", "0.95", "1", "[0.1, 0.9]", "(0, 0.5, 1)")


class Form(NamedTuple):
    """An expression or a statement with gaps.

    `{A}` is an array as long as `v`, `{X}` an array of any length, `{B}` a mask, `{N}` a number, the other gaps are
    constants.
    """

    kind: str
    """What an expression gives: A, B, X or N as above, or O for any other object; empty for a statement."""
    text: str
    level: int = BITS
    shares: bool = False
    """Whether the result can share memory with its operands."""


def forms(kind: str, *texts: str, level: int = BITS, shares: bool = False) -> list[Form]:
    return [Form(kind, text, level, shares) for text in texts]


ANY_SHAPE = [
    *forms(
        "A",
        "np.abs({A})", "-{A}", "np.sqrt(np.abs({A}))", "np.sqrt({A})", "np.exp(np.clip({A}, -5, 5))", "np.log({A})",
        "np.log1p(np.abs({A}))", "np.tanh({A})", "np.square({A})", "np.sign({A})", "np.floor({A})", "np.ceil({A})",
        "{A} ** {p}", "{A} * {c}", "{c} - {A}", "{c} / {A}", "{A} / {c}",
        "{A} + {A}", "{A} - {A}", "{A} * {A}", "{A} / {A}", "{A} // {c}", "{A} % {c}", "np.minimum({A}, {A})",
        "np.maximum({A}, {c})", "np.fmin({A}, {c})", "np.hypot({A}, {A})", "{A} - {N}",
        "{A} / {N}", "({A} - {N}) / {N}", "{N} * {A}", "np.where({B}, {A}, {c})", "np.where({B}, {A}, {A})",
        "np.where({A} > {N}, {A}, np.nan)", "np.clip({A}, {c}, {c})", "{A}.clip({c})", "np.clip({A}, None, {N})",
        "np.nan_to_num({A})", "np.nan_to_num({A}, nan={c})", "{A}.astype({t})", "{A}.copy()", "np.array({A})",
        "np.zeros_like({A})", "np.full_like({A}, {c})", "({A} > {c}) * {A}", "{B}.astype(int)", "{B} + {B}",
        "{A} + w", "w * {A}", "np.add({A}, {A})", "np.power({A}, {p})", "np.array([{A}, {A}])[1]",
        "rng.permutation({A})", "{A} + rng.normal(size={A}.shape)", "np.select([{B}, {B}], [{A}, {c}], {c})",
        "np.float_power({A}, {p})", "np.heaviside({A}, 0.5)", "np.reciprocal({A})", "abs({A})",
    ),
    # With AVX-512, NumPy's own last bits depend on whether the elements are contiguous.
    *forms("A", "np.arctan2({A}, {c})", level=CLOSE),
    *forms("A", "np.asarray({A})", "{A}.T.T", "np.asarray({A}, dtype=float)", "{A}.view()", "{A}.conj()",
           "np.round({A}, {d})", "{A}.round({d})", shares=True),
    *forms(
        "B",
        "{A} > {c}", "{A} < {A}", "{A} >= {N}", "{A} == {c}", "{A} != {A}", "np.isnan({A})", "np.isfinite({A})",
        "~{B}", "{B} & {B}", "{B} | {B}", "{B} ^ {B}", "np.logical_and({B}, {A})", "np.logical_not({A})",
        "np.isclose({A}, {c})", "np.isclose({A}, {A})", "np.isin({A}, [0, 1, 2.5])", "np.signbit({A})",
        "({A} > {c}) & ({A} < {c})", "np.abs({A} - {N}) > {N}", "np.isposinf({A})", "{A}.astype(bool)",
    ),
    *forms("X", "{A}[{B}]", "{A}[{A} > {N}]", "np.extract({B}, {A})", "np.unique({X})", "np.argwhere({B})",
           "np.concatenate([np.ravel({X}), np.ravel({X})])", "np.append({X}, {c})", "np.flatnonzero({B})",
           "np.bincount(np.abs(np.nan_to_num({X})).astype(int).ravel() % 50)", "np.histogram({X}, bins=5)[0]",
           "np.histogram({X}, bins=[-2, 0, 1, 5])[0]", "np.setdiff1d({X}, [0, 1])", "np.atleast_1d({N})"),
    *forms("X", "np.ravel({X})", "{X}.ravel()", "{X}.reshape(-1)", "{X}.T", "np.squeeze({X})", shares=True),
    *forms("X", "np.percentile({X}, {q})", "np.quantile({X}, {r})", "np.nanpercentile({X}, {q})",
           "np.nanquantile({X}, {r})", level=EQUAL),
    *forms("N", "len({X})", "{X}.size", "np.count_nonzero({B})", "{B}.sum()", "{B}.any()", "np.all({B})",
           "np.sum({B})", "{X}.argmin()", "np.argmax({X})", "np.nanargmax({X})", "int({N})", "np.any({X})",
           "rng.random()", "np.allclose({A}, {A})", "np.array_equal({A}, {A})", "max({N}, {N})", "{N} + {N}",
           "{N} * {c}", "abs({N})", "float({N})", "{N} - {N}", "np.sqrt(abs({N}))", "-{N}", "{N} > {N}", "{N} // {c}",
           "{N} / {N}", "bool({N})", "round({N}, 3)", "np.log({N})", "{N} ** {p}"),
    *forms("N", "{X}.min()", "np.max({X})", "np.ptp({X})", "np.median({X})", "np.nanmin({X})", "np.nanmedian({X})",
           "np.percentile({X}, 95)", "np.quantile({X}, 0.25)", "{X}.max() - {X}.min()", "{X}.max(initial={c})",
           "np.amin({X})", "min({X}.min(), {c})", level=EQUAL),
    *forms("N", "{X}.mean()", "np.mean({X})", "{X}.sum()", "np.sum({X})", "{X}.std()", "np.std({X}, ddof=1)",
           "np.var({X})", "{X}.var(ddof=1)", "np.nanmean({X})", "np.nanstd({X})", "np.nansum({X})",
           "np.average({X})", "np.average({A}, weights=np.abs({A}) + 1)", "np.linalg.norm({X})", "{B}.mean()",
           "np.sum({A}, where={B})", "{X}.sum(dtype=np.float64)", "np.prod(np.sign({X}))", "np.mean({A} ** 2)",
           "np.sum({A} * {A}) / {X}.size", "np.sqrt(np.mean({A} ** 2))", "np.mean(np.abs({A} - {A}.mean()))",
           "np.mean(({A} - {A}.mean()) ** 3)", "np.add.reduce({X}, axis=None)", "np.nanvar({X}, ddof=1)",
           "{X}.mean(dtype=np.float64)", "np.vdot({A}, {A})", level=CLOSE),
    *forms("O", "({N}, {A})", "[{N}, {N}, {X}]", "{{'a': {N}, 'b': {X}}}", shares=True),
    *forms("O", "{X}.shape", "{X}.dtype", "{X}.ndim", "np.histogram({X}, bins=4)", "np.histogram({X}, bins={k})",
           "np.unique({X}, return_counts=True)",
           "np.unique({X}, return_inverse=True)", "np.unique({X}, return_index=True)", "isinstance({A}, np.ndarray)",
           "np.nonzero({B})", "np.where({B})", "type({N}).__name__", "'%.2f' % float({N})", "np.shape({X})",
           "{X}.tolist()", "{X}.flags.c_contiguous", "np.modf({A})", "np.result_type({A}, {N})", "repr({X}[:2])",
           "divmod({A}, 2)", "np.frexp({A})", "str({N})"),
]  # fmt: skip

VECTORS = [
    *forms(
        "A",
        "np.cumsum({A})", "{A}.cumsum()", "np.cumprod(np.sign({A}))", "np.add.accumulate({A})", "np.gradient({A})",
        "np.convolve({A}, [0.25, 0.5, 0.25], 'same')", "np.concatenate([{A}[1:], {A}[:1]])",
        level=CLOSE,
    ),
    *forms(
        "A",
        "np.maximum.accumulate({A})", "np.minimum.accumulate({A})", "np.sort({A})", "np.argsort({A}, kind='stable')",
        "np.argsort({A})", "np.roll({A}, {k})", "np.ediff1d({A}, to_begin=0)", "np.digitize({A}, [-1, 0, 1.5])",
        "np.searchsorted(np.sort({A}), {A})", "np.searchsorted([0, 1, 2], {A})", "np.take({A}, idx[0]) + {A}",
        "np.interp({A}, [0, 1], [2, 3])", "np.pad({A}[1:], (1, 0))", "np.diff({A}, prepend=0)",
        "np.insert({A}[1:], 0, 7)",
        "np.argsort(np.argsort({A}))", "np.partition({A}, 5)[5] + {A}", "np.tile({A}[:1], {A}.size)",
    ),
    *forms("A", "{A}[::-1]", "np.flip({A})", "np.reshape({A}, -1)", shares=True),
    *forms("X", "{X}[{s}]", "{A}[{s}]", "np.split({A}, 2)[0]", "np.trim_zeros({A})", "{X}[1:][::2]", shares=True),
    *forms("X", "np.diff({X})", "np.diff({A}, n=2)", "np.ediff1d({X})", "{A}[1:] * {A}[:-1]", "{A}[2:] - {A}[:-2]",
           "{A}[idx]", "np.delete({A}, 3)", "np.pad({X}, 2, mode='edge')", "np.partition({A}, 3)[3:4]",
           "np.sort({X})[-5:]", "np.sort({X})[::-1][:3]", "{A}[np.argsort({A}, kind='stable')[-4:]]",
           "{A}[:-1][{A}[1:] > {A}[:-1]]", "np.diff(np.flatnonzero({B}))", "np.diff(np.sign({A}))",
           "np.where(np.diff(np.sign({A})))[0]", "np.repeat({A}[:4], 2)",
           "np.lib.stride_tricks.sliding_window_view({A}, 4).max(axis=1)"),
    *forms("X", "{A}[:, None] - {A}[None, :5]", "{A}[:, None] > {A}[:3]", "{A}[::-1, None] * {A}[:2]",
           "np.maximum({A}[:, None], np.arange(3))", "{A}[None] * {A}[:4, None]",
           "np.exp(-np.abs({A}))[:, None] * {A}[:2]"),
    *forms("X", "{A}[: {A}.size // 4 * 4].reshape(-1, 4).sum(axis=1)", "({A}[:, None] - small).sum(axis=0)",
           "{A}[:, None] * small", "np.correlate({A}, [1, 2, 1])", "np.convolve({A}, np.ones(4) / 4, mode='valid')",
           "np.cov({A}, {A})", "np.corrcoef({A}, w)", "np.outer({A}[:3], small)", "np.add.reduceat({A}, [0, 5, 7])",
           "(np.cumsum({A})[4:] - np.cumsum({A})[:-4]) / 4", "np.polyfit(np.arange({A}.size), {A}, 1)", level=CLOSE),
    *forms("N", "{A}[{k}]", "{A}[-1]", "{X}[0]", "{X}[{k}]", "list({A})[{k}]", "np.argmax({A} > {c})",
           "np.max(np.maximum.accumulate({A}) - {A})", "{A}.item({k})", "sorted({A})[0]"),
    *forms("N", "{A} @ {A}", "np.dot({A}, {A})", "np.trapezoid({X})", "np.corrcoef({A}[1:], {A}[:-1])[0, 1]",
           "np.cov({A})", "np.sum({A}[1:] * {A}[:-1]) / np.sum({A} ** 2)", "np.sum(np.abs(np.diff({A})))",
           "np.einsum('i,i->', {A}, {A})", "np.mean(np.diff({A}) ** 2)", "sum({A})", "np.inner({A}, w)", level=CLOSE),
]  # fmt: skip

TABLES = [
    *forms("A", "np.asfortranarray({A})", "np.ascontiguousarray({A})", "{A}.T.T", shares=True),
    *forms("A", "np.sort({A}, axis={a})", "np.roll({A}, 1, axis={a})", "np.argsort({A}, axis={a}, kind='stable')",
           "np.maximum.accumulate({A}, axis={a})", "{A} - {A}.min(axis={a}, keepdims=True)",
           "{A} * {A}[0]", "{A} - {A}.max(axis=0)",
           "np.where({A} > {A}[0], {A}, {A}[:1])", "{A} + np.abs({A})[:, :1]", "np.add({A}, np.arange({A}.shape[1]))",
           "{A}.T.copy().T + {A}"),
    *forms("A", "{A} - {A}.mean(axis={a}, keepdims=True)", "np.cumsum({A}, axis={a})",
           "({A} - {A}.mean(axis=0)) / ({A}.std(axis=0) + 1)", level=CLOSE),
    *forms("A", "{A}[::-1]", "{A}[:, ::-1]", shares=True),
    *forms("X", "{A}[1]", "{A}[:, 0]", "{A}[1:]", "{A}[:, 1:]", "{A}[..., -1]", "{A}[2:4, ::2]", "{A}.reshape(4, -1)",
           "np.transpose({A})", "{A}.diagonal()", shares=True),
    *forms("X", "{X}.argmin(axis={a})", "np.diff({X}, axis={a})", "np.count_nonzero({X}, axis={a})",
           "{X}.any(axis={a})", "np.flatnonzero({X})", "np.vstack([{A}, {A}])", "{A}[idx]"),
    *forms("X", "{X}.min(axis={a})", "np.max({X}, axis={a}, keepdims=True)", "np.median({X}, axis={a})",
           "np.percentile({X}, {q}, axis={a})", "np.ptp({X}, axis={a})", "np.nanmax({X}, axis={a})", level=EQUAL),
    *forms("X", "{X}.mean(axis={a})", "np.sum({X}, axis={a})", "{X}.std(axis={a}, ddof=1)", "np.var({X}, axis={a})",
           "np.mean({X}, axis={a}, keepdims=True)", "{X}.sum(axis=(0, 1))", "np.nanmean({X}, axis={a})",
           "np.average({X}, axis={a})", "np.linalg.norm({X}, axis={a})", "{A} @ {A}.T", "{X}.prod(axis={a})",
           "np.sum({A} ** 2, axis={a})", level=CLOSE),
    *forms("N", "{A}[1, 2]", "{A}[{k}, 0]", "{A}[0].size", "len({A}[:, 0])"),
    *forms("N", "{A}[{k}].mean()", "{A}[:, 0].std()", "np.trace({A})", level=CLOSE),
]  # fmt: skip

CHANGES = [
    *forms(
        "",
        "{A} += {c}", "{A} -= {A}", "{A} *= {c}", "{A} /= {c}", "{A} **= 2", "{A} //= 2", "{A} -= {N}", "{A} /= {N}",
        "{A}[{B}] = {c}", "{A}[{B}] += {c}", "{A}[{A} > {N}] = {N}", "m = {B}; {A}[m] = {A}[m] * 2", "{A}[{k}] = {c}",
        "{A}[{s}] = {c}", "{A}[{s}] *= 2", "{A}[idx] = {c}", "{A}[:] = {A}", "np.clip({A}, -1, 1, out={A})",
        "np.add({A}, {c}, out={A})", "np.multiply({A}, {A}, out={A})", "{A}.sort()", "{A}.fill({c})", "{B} &= {B}",
        "{B} |= {A} > {c}", "{B}[{k}] = True", "np.copyto({A}, {c}, where={B})", "np.putmask({A}, {B}, {c})",
        "{A}[~{B}] = np.nan", "{A}[np.isnan({A})] = {N}", "{X} += 1", "{X}[{s}] = {c}", "np.abs({A}, out={A})",
        "np.add.at({A}, idx, {c})", "{A}[...] = {c}", "np.add(w, {c}, out=w)",
        "np.sqrt(np.abs({A}), out={A})", "np.nan_to_num({A}, copy=False)", "{A} %= 3",
    ),
]  # fmt: skip
"""Statements that write to arrays. Those that write to the input fail."""

PARTIAL = re.compile(
    r"\[|\.(shape|size|dtype|ndim|flags)|len|isinstance|type|_like|split|tile|repeat|item|trim|diagonal"
)
"""What does perhaps not look at all elements, so that they need not be computed."""

GUARDS = (
    "with np.errstate(all='ignore'):",
    "with np.errstate(divide='raise', invalid='raise'):",
    "with np.errstate(invalid='ignore'):",
    "with np.errstate(over='raise'):",
)

# --------------------------------------------------------------------------------------------------- programs


@dataclass(frozen=True)
class Block:
    """Statements under a header: a loop, a branch, `try`, `with`."""

    header: str
    body: "tuple[Statement, ...]"
    tail: "Block | None" = None
    """What belongs to it: `else`, `except`."""
    bound: tuple[str, ...] = ()
    """The names that are first bound inside. They are bound before, as nobody knows whether they will be."""


Statement = str | Block


@dataclass(frozen=True)
class Program:
    """A function of `v`: its statements, and the variables that it returns."""

    body: tuple[Statement, ...]
    returned: tuple[str, ...]
    levels: dict[str, int] = field(hash=False)
    """How near each returned value must come to that of the plain call."""
    complete: bool
    """Whether every value that it makes is computed: then every warning is given."""

    @property
    def source(self) -> str:
        lines = [*lines_of(self.body), f"return [{', '.join(self.returned)}]"]
        return "def f(v):\n" + textwrap.indent("\n".join(lines), "    ")

    def function(self) -> Function:
        """The function, with fresh arrays and a fresh generator of random numbers in its closure at each call."""
        made: dict[str, Any] = {"np": np}
        source = f"def make(w, small, idx, rng):\n{textwrap.indent(self.source, '    ')}\n    return f"
        with warnings.catch_warnings():
            # Of `0.5[1]` and the like.
            warnings.simplefilter("ignore")
            exec(compile(source, "<program>", "exec"), made)  # the source is ours

        def fresh(v: Array) -> Any:
            w = np.linspace(-1, 1, v.size).reshape(v.shape)
            idx = np.array([0, 3, 3, -1])
            return made["make"](w, np.array([0.5, 1.0, 2.0]), idx, np.random.default_rng(5))(v)

        return fresh


def lines_of(body: Sequence[Statement]) -> Iterator[str]:
    for each in body:
        if isinstance(each, str):
            yield each
            continue
        if each.bound:
            yield f"{' = '.join(each.bound)} = None"
        block: Block | None = each
        while block is not None:
            yield block.header
            yield from (f"    {line}" for line in list(lines_of(block.body)) or ["pass"])
            block = block.tail


@dataclass
class Variable:
    kind: str
    group: int
    """Variables of one group, or of groups that have been united, can share memory."""


class Writer:
    """Writes the program of a seed."""

    def __init__(self, seed: int, ndim: int) -> None:
        self.random = random.Random(seed)
        self.forms: dict[str, list[Form]] = {}
        for form in ANY_SHAPE + (VECTORS if ndim == 1 else TABLES):
            self.forms.setdefault(form.kind, []).append(form)
        self.variables = {"v": Variable("A", 0)}
        # The level of each group, and the group that it has been united with.
        self.levels = [BITS]
        self.united = [0]
        self.complete = self.random.random() < 0.5
        self.made = 0
        self.inside = 0
        self.loops = 0
        # The name that the last statement gave to memory that has another name too.
        self.shared: str | None = None
        # The name of such memory that the last statement wrote to.
        self.changed: str | None = None
        # The groups that each block around has changed.
        self.touched: list[set[int]] = []

    def program(self) -> Program:
        body = self.statements(self.random.randint(2, 9))
        names = [name for name in self.variables if name != "v" or self.random.random() < 0.1]
        if not self.complete:
            names = self.random.sample(names, self.random.randint(min(1, len(names)), len(names)))
        levels = {name: self.levels[self.root(self.variables[name].group)] for name in names}
        return Program(body, tuple(names), levels, self.complete)

    def statements(self, count: int) -> tuple[Statement, ...]:
        return tuple(self.statement() for _ in range(count))

    def statement(self) -> Statement:
        draw = self.random.random()
        if draw < 0.14 and self.inside < 2:
            return self.block()
        shared, self.shared = self.shared, None
        changed, self.changed = self.changed, None
        if draw < (0.7 if shared else 0.34) and len(self.variables) > 1:
            return self.change(shared)
        if draw < 0.44:
            return self.alias()
        kind = self.random.choices("AXBNO", (8, 5, 3, 7, 2))[0]
        of = None if changed is None else self.random.choice(self.alike(changed, "AXB") or [changed])
        text, level, groups, shares = self.expression(kind, 2, {} if of is None else {"A": of, "X": of})
        group = self.fresh(level)
        name = self.named(kind, group)
        if shares:
            self.unite({group, *groups})
            self.shared = name
        return f"{name} = {text}"

    def alias(self) -> str:
        """Another name for an array or a part of it, or for anything."""
        names = list(self.variables)
        made = [name for name in names if self.variables[name].kind in "AX" and not self.is_input(name)]
        if not made or self.random.random() < 0.4:
            name = self.random.choice(names)
            self.shared = self.named(self.variables[name].kind, self.variables[name].group)
            return f"{self.shared} = {name}"
        name = self.random.choice(made)
        self.shared = self.named("X", self.variables[name].group)
        return f"{self.shared} = {name}[{self.random.choice(SLICES)}]"

    def block(self) -> Block:
        self.inside += 1
        self.touched.append(set())
        before = set(self.variables)
        # Where an exception is caught or a variable is bound again, there are values that nobody needs.
        form = self.random.choice(("with", "if") if self.complete else ("with", "try", "if", "for"))
        condition, *_ = self.expression("N", 0)
        self.loops += form == "for"
        body = self.statements(self.random.randint(1, 3))
        self.loops -= form == "for"
        block = Block(self.random.choice(GUARDS), body)
        if form == "try":
            caught = self.random.choice(("Exception", "(ValueError, FloatingPointError)", "TypeError"))
            handler = (f"{self.named('O', self.fresh(BITS))} = type(error).__name__, str(error)",)
            block = Block("try:", body, Block(f"except {caught} as error:", handler))
        elif form == "if":
            comparison = self.random.choice(("> 0", "< 1", "== 0", ">= 2.5"))
            other = self.statements(1) if self.random.random() < 0.5 else ()
            block = Block(f"if {condition} {comparison}:", body, Block("else:", other) if other else None)
        elif form == "for":
            header = self.random.choice(("for k in range(3):", "for k in (1, 2):", "for k in [0.5, 1.5]:"))
            block = Block(header, body)
            # What is computed in one round goes into the next one.
            most = max((self.levels[self.root(group)] for group in self.touched[-1]), default=BITS)
            for group in list(self.touched[-1]):
                self.raise_level(group, most)
        self.touched.pop()
        self.inside -= 1
        bound = tuple(name for name in self.variables if name not in before)
        for name in bound:
            # It can be returned, and sometimes it is used whether it is there or not.
            if self.random.random() < 0.8:
                self.variables[name].kind = "O"
        return replace(block, bound=bound)

    def change(self, shared: str | None) -> str:
        """A statement that writes to an array, to one that shares memory with `shared` if there is one."""
        form = self.random.choice(CHANGES)
        kind = next(
            (kind for kind in "AXB" if form.text.startswith(f"{{{kind}}}") or f"out={{{kind}}}" in form.text), "A"
        )
        target = self.chosen(kind)
        if shared is not None:
            target = self.random.choice(self.alike(shared, f"{kind}X") or [target])
        often = self.random.random() < 0.95 or ".at(" in form.text
        if often and target is not None and self.is_input(target):
            # Hardly ever to the input, where it fails. (But with `np.add.at` NumPy writes to read-only memory.)
            others = [name for name, each in self.variables.items() if each.kind == kind and not self.is_input(name)]
            target = self.random.choice(others) if others else None
        if target is None:
            return f"{self.named('N', self.fresh(BITS))} = {self.random.choice(CONSTANTS)}"
        if shared is not None:
            self.changed = target
        text, level, *_ = self.filled(form.text, 0, {kind: target})
        self.raise_level(self.variables[target].group, max(level, form.level))
        return text

    # ---- expressions ----

    def expression(self, kind: str, depth: int, first: dict[str, str] | None = None) -> tuple[str, int, set[int], bool]:
        """The text, its level, the groups of its variables, and whether it can share their memory."""
        form = self.random.choice(self.forms[kind])
        if self.complete and PARTIAL.search(form.text):
            depth = 0
        text, level, groups = self.filled(form.text, depth, first or {})
        return text, max(level, form.level), groups, form.shares

    def filled(self, text: str, depth: int, first: dict[str, str]) -> tuple[str, int, set[int]]:
        """A form without gaps; `first` has the variable of a kind's first gap, and of the target of `out=`."""
        level, groups, parts = BITS, set(), []
        target = dict(first)
        text = text.replace("{{", "\0").replace("}}", "\1")
        while "{" in text:
            before, rest = text.split("{", 1)
            gap, text = rest[0], rest[2:]
            parts.append(before)
            if gap in first and (gap in target or before.endswith("out=")):
                made = first[gap]
                group = self.root(self.variables[made].group)
                own, used = self.levels[group], {group}
                target.pop(gap, None)
            elif gap in "AXBN":
                made, own, used = self.operand(gap, depth)
            else:
                made, own, used = self.constant(gap), BITS, set()
            parts.append(made)
            level = max(level, own)
            groups |= used
        return "".join([*parts, text]).replace("\0", "{").replace("\1", "}"), level, groups

    def operand(self, kind: str, depth: int) -> tuple[str, int, set[int]]:
        name = self.chosen(kind)
        if name is None or (depth > 0 and self.random.random() < 0.25):
            if name is None and depth <= 0:
                made = {"B": f"(v > {self.random.choice(CONSTANTS)})", "N": self.random.choice(CONSTANTS)}[kind]
                return made, BITS, {0}
            text, level, groups, _ = self.expression(kind, depth - 1)
            return f"({text})", level, groups
        group = self.root(self.variables[name].group)
        return name, self.levels[group], {group}

    def chosen(self, kind: str) -> str | None:
        kinds = "AXB" if kind == "X" else kind
        names = [name for name, each in self.variables.items() if each.kind in kinds]
        return self.random.choice(names) if names else None

    def constant(self, gap: str) -> str:
        choices = {"c": CONSTANTS, "p": POWERS, "s": SLICES, "t": DTYPES, "q": PERCENTS, "r": QUANTILES}
        if gap == "c" and self.loops and self.random.random() < 0.4:
            return "k"
        if gap in choices:
            return self.random.choice(choices[gap])
        return {
            "k": str(self.random.randint(-3, 7)),
            "d": str(self.random.randint(0, 2)),
            "a": self.random.choice("01"),
        }[gap]

    # ---- variables ----

    def named(self, kind: str, group: int) -> str:
        """The name of a new variable, or sometimes of one that is bound to something else from now on."""
        same = [name for name, each in self.variables.items() if each.kind == kind and name != "v"]
        self.made += 1
        name = f"t{self.made}"
        if same and not self.complete and self.random.random() < 0.25:
            name = self.random.choice(same)
            if self.inside:
                # It is perhaps not bound again.
                self.unite({self.variables[name].group, group})
        self.variables[name] = Variable(kind, group)
        for touched in self.touched:
            touched.add(group)
        return name

    def fresh(self, level: int) -> int:
        self.levels.append(level)
        self.united.append(len(self.united))
        return len(self.united) - 1

    def root(self, group: int) -> int:
        """The group that stands for all that it has been united with."""
        while self.united[group] != group:
            group = self.united[group]
        return group

    def unite(self, groups: set[int]) -> None:
        roots = {self.root(group) for group in groups}
        kept = min(roots)
        self.levels[kept] = max(self.levels[group] for group in roots)
        for group in roots:
            self.united[group] = kept

    def alike(self, name: str, kinds: str) -> list[str]:
        """The variables of these kinds that can share memory with one."""
        group = self.root(self.variables[name].group)
        return [each for each, it in self.variables.items() if it.kind in kinds and self.root(it.group) == group]

    def is_input(self, name: str) -> bool:
        """Whether a variable can share the input's memory."""
        return self.root(self.variables[name].group) == 0

    def raise_level(self, group: int, level: int) -> None:
        group = self.root(group)
        self.levels[group] = max(self.levels[group], level)
        for touched in self.touched:
            touched.add(group)


# -------------------------------------------------------------------------------------------------- the arrays


def arrays() -> dict[str, Array]:
    """The inputs. Most have multiples of 1/4 of moderate size: sums of them are exact in any order."""
    rng = np.random.default_rng(3)
    mixed = rng.integers(-32, 32, 64) / 4
    special = mixed.copy()
    special[[5, 17, 40]] = np.nan, np.inf, -np.inf
    missing = mixed.copy()
    missing[[0, 33]] = np.nan
    return {
        "mixed": mixed,
        "positive": np.abs(mixed) + 0.25,
        "normal": rng.standard_normal(61),
        "float32": mixed.astype("f4"),
        "int64": rng.integers(-9, 9, 64),
        "bool": mixed > 0,
        "special": special,
        "missing": missing,
        "constant": np.full(64, 2.5),
        "zeros": np.zeros(64),
        "uint8": rng.integers(0, 200, 64).astype("u1"),
        "float16": mixed.astype("f2"),
        "special float16": special.astype("f2")[::-1],
        "large float16": (mixed * 500).astype("f2"),
        "reversed": mixed[::-1],
        "table": mixed.reshape(8, 8),
        "table in Fortran order": np.asfortranarray(mixed.reshape(8, 8)),
        "table backwards": np.asfortranarray(special.reshape(16, 4))[::-1, ::-1],
        "every second column": rng.integers(-9, 9, (8, 8))[:, ::2].T,
        "repeated row": np.broadcast_to(mixed[:8], (8, 8)),
        "table of float16": np.asfortranarray(mixed.astype("f2").reshape(16, 4)),
        "table of float32": missing.astype("f4").reshape(16, 4),
        "table of int64": rng.integers(-9, 9, (8, 8)),
    }


ARRAYS = arrays()


def array_of(seed: int) -> str:
    """The name of the array that a seed's program gets."""
    return list(ARRAYS)[seed % len(ARRAYS)]


def program_of(seed: int) -> Program:
    return Writer(seed, ARRAYS[array_of(seed)].ndim).program()


# ----------------------------------------------------------------------------------------------- the plain call

ADDING = ("sum", "mean", "std", "var", "prod", "dot", "cumsum", "trace")
"""Methods and functions that add up or multiply: their last digits depend on the order."""

ORDERING = ("min", "max")
"""Those that choose elements."""

ADDING_FUNCTIONS = frozenset(
    getattr(np, name)
    for name in (
        *ADDING, "nansum", "nanmean", "nanstd", "nanvar", "average", "vdot", "inner", "einsum", "trapezoid", "corrcoef",
        "cov", "convolve", "correlate", "gradient", "polyfit",
    )
) | {np.linalg.norm}  # fmt: skip
ORDERING_FUNCTIONS = frozenset(
    getattr(np, name)
    for name in (
        *ORDERING, "ptp", "nanmin", "nanmax", "median", "nanmedian", "percentile", "quantile", "nanpercentile",
        "nanquantile",
    )
)  # fmt: skip

Change = Callable[[Callable[[], Any], bool], Any]
"""Calls a statistic and changes what it gives. The bool says whether it adds up."""


class Told(np.ndarray[Any, Any]):
    """An array whose statistics are changed on the way: it shows what a plain call's answer hangs on."""

    change: Change

    def __array_finalize__(self, of: Any) -> None:
        self.change = getattr(of, "change", unchanged)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        inner = lambda: super(Told, self).__array_function__(func, types, args, kwargs)  # noqa: E731
        if func in ADDING_FUNCTIONS or func in ORDERING_FUNCTIONS:
            return self.told(self.change(inner, func in ADDING_FUNCTIONS))
        return self.told(inner())

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [each.view(np.ndarray) if isinstance(each, Told) else each for each in inputs]
        out = kwargs.get("out")
        if out is not None:
            kwargs["out"] = tuple(each.view(np.ndarray) if isinstance(each, Told) else each for each in out)
        inner = lambda: getattr(ufunc, method)(*plain, **kwargs)  # noqa: E731
        if method in ("reduce", "accumulate", "reduceat") or ufunc is np.matmul:
            result = self.change(inner, ufunc in (np.add, np.multiply, np.matmul))
        else:
            result = inner()
        if out is not None:
            return out[0] if len(out) == 1 else out
        return self.told(result)

    def told(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self.told, value))
        if type(value) is not np.ndarray:
            return value
        made = value.view(Told)
        made.change = self.change
        return made


def _method(name: str) -> Callable[..., Any]:
    def method(self: Told, *args: Any, **kwargs: Any) -> Any:
        return self.change(lambda: self.told(getattr(self.view(np.ndarray), name)(*args, **kwargs)), name in ADDING)

    return method


for _name in (*ADDING, *ORDERING):
    setattr(Told, _name, _method(_name))


def unchanged(call: Callable[[], Any], adds: bool) -> Any:
    """A statistic as it is."""
    return call()


def silent(call: Callable[[], Any], adds: bool) -> Any:
    """A statistic that does not warn."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return call()


def shaken(seed: int) -> Change:
    """Sums that are off by a rounding or two."""
    rng = np.random.default_rng(seed)

    def change(call: Callable[[], Any], adds: bool) -> Any:
        result = call()
        dtype = getattr(result, "dtype", None)
        if not adds or dtype is None or dtype.kind not in "fc":
            return result
        epsilon = np.finfo(dtype).eps
        by = rng.integers(-2, 3, np.shape(result)) * epsilon
        with np.errstate(all="ignore"):
            off = (result + by * (np.abs(result) + 1)).astype(dtype)
            if seed % 2:
                # The variance of a constant is a rounding, or 0.
                off = np.where(np.abs(result) < epsilon, dtype.type(0), off)
        return off if isinstance(result, np.ndarray) else dtype.type(off)

    return change


# -------------------------------------------------------------------------------------------------- comparison


class Outcome(NamedTuple):
    """What a call gives: its value or exception, and the warnings on the way."""

    value: Any
    warned: frozenset[tuple[str, str]]


def outcome(call: Callable[[], Any]) -> Outcome:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = call()
        except Exception as error:
            value = error
    return Outcome(value, frozenset((each.category.__name__, str(each.message)) for each in caught))


def plain(program: Program, x: Array, change: Change | None = None) -> Outcome:
    """The outcome of the plain call; with a change of its statistics, of that."""
    view: Any = locked(x)
    if change is not None:
        view = view.view(Told)
        view.change = change
    return outcome(lambda: program.function()(view))


def unlike(got: Any, want: Any, level: int, single: bool = False) -> str | None:
    """What differs between two values; None if nothing does."""
    if isinstance(want, Exception):
        same = type(got) is type(want) and str(got) == str(want)
        return None if same else f"{got!r} for {want!r}"
    if type(got) is not type(want):
        return f"{type(got)} for {type(want)}: {got!r} for {want!r}"
    if isinstance(want, tuple | list):
        if len(got) != len(want):
            return f"{len(got)} for {len(want)} items"
        return next(filter(None, (unlike(a, b, level, single) for a, b in zip(got, want, strict=True))), None)
    if isinstance(want, dict):
        return unlike(list(got.items()), list(want.items()), level, single)
    if isinstance(want, np.ndarray | np.generic):
        if (got.dtype, got.shape) != (want.dtype, want.shape):
            return f"{got.dtype}{got.shape} for {want.dtype}{want.shape}"
        orders = [(each.flags.c_contiguous, each.flags.f_contiguous) for each in (got, want)]
        if isinstance(want, np.ndarray) and orders[0] != orders[1]:
            return f"strides {got.strides} for {want.strides}"
        if want.dtype == object:
            return unlike(got.tolist(), want.tolist(), level, single)
        if got.tobytes() == want.tobytes() or near(got, want, level, single):
            return None
        return f"{got!r} for {want!r}"
    if isinstance(want, float | complex):
        return None if near(np.asarray(got), np.asarray(want), level, single) else f"{got!r} for {want!r}"
    if isinstance(want, str) and level == CLOSE:
        return None  # digits of what is rounded
    return None if got == want else f"{got!r} for {want!r}"


def near(got: Any, want: Any, level: int, single: bool) -> bool:
    """Whether numbers are as near as their level asks. One NaN is as good as another."""
    if want.dtype.kind not in "fc":
        return bool(np.array_equal(got, want))
    if level == CLOSE:
        single |= want.dtype.itemsize // (2 if want.dtype.kind == "c" else 1) < 8
        return bool(np.allclose(got, want, *((2e-3, 1e-2) if single else (1e-9, 1e-9)), equal_nan=True))
    if not np.array_equal(got, want, equal_nan=True):
        return False
    signs = np.signbit(got.real) == np.signbit(want.real)
    return level == EQUAL or bool(np.all(signs | np.isnan(want)))


def stripped(value: Any) -> Any:
    """A value of `Told` arrays as one of plain arrays."""
    if isinstance(value, Told):
        return value.view(np.ndarray)
    if type(value) in (list, tuple):
        return type(value)(map(stripped, value))
    if type(value) is dict:
        return {key: stripped(each) for key, each in value.items()}
    return value


def value_differs(program: Program, got: Any, want: Any, x: Array) -> str | None:
    """What differs between what a program gave and what it should have given."""
    if isinstance(want, Exception) or isinstance(got, Exception):
        return unlike(got, want, BITS)
    single = x.dtype.kind == "f" and x.dtype.itemsize < 8
    for name, ours, theirs in zip(program.returned, got, want, strict=True):
        told = unlike(ours, theirs, program.levels.get(name, CLOSE), single)
        if told is not None:
            return f"{name}: {told}"
    return None


def hangs_on_rounding(program: Program, x: Array, want: Outcome) -> bool:
    """Whether the plain call itself gives something else when its statistics are off by a rounding.

    Then there is no answer to compare with: 2.5 is or is not above a mean of 2.5.
    """
    calm = plain(program, x, unchanged)
    if value_differs(program, stripped(calm.value), want.value, x) is not None:
        # It matters to the program that the array is of a subclass.
        return False
    near_by = (stripped(plain(program, x, shaken(seed)).value) for seed in range(6))
    return any(value_differs(program, value, want.value, x) is not None for value in near_by)


def warnings_differ(program: Program, got: Outcome, want: Outcome, x: Array) -> str | None:
    """What differs between the warnings. Inside of statistics there need not be any, nor for what is not computed."""
    if invented := got.warned - want.warned:
        return f"warned of {sorted(invented)}"
    missing = want.warned - got.warned
    if missing and program.complete and (missing := missing & plain(program, x, silent).warned):
        return f"did not warn of {sorted(missing)}"
    return None


def run_of(programs: Sequence[Program], x: Array, workers: int) -> tuple[Outcome, list[Any]]:
    functions = {str(number): program.function() for number, program in enumerate(programs)}
    found = outcome(lambda: ff.run(x, functions, workers=workers, on_error="return"))
    if isinstance(found.value, Exception):
        return found, [found.value] * len(programs)
    return found, [found.value[key] for key in functions]


def difference(program: Program, x: Array, want: Outcome | None = None) -> str | None:
    """What differs between a run of a program alone and its plain call."""
    want = plain(program, x) if want is None else want
    found, (value,) = run_of([program], x, 1)
    got = Outcome(value, found.warned)
    told = value_differs(program, got.value, want.value, x)
    if told is not None and hangs_on_rounding(program, x, want):
        return None
    return told or warnings_differ(program, got, want, x)


def together(
    programs: Sequence[Program], x: Array, wants: Sequence[Outcome], workers: int
) -> Iterator[tuple[int, str]]:
    """Where a run of several programs differs from their plain calls."""
    found, values = run_of(programs, x, workers)
    dubious = False
    for number, (program, value, want) in enumerate(zip(programs, values, wants, strict=True)):
        told = value_differs(program, value, want.value, x)
        if told is None:
            continue
        if hangs_on_rounding(program, x, want):
            dubious = True
        else:
            yield number, f"with {len(programs) - 1} others, {workers} workers: {told}"
    if not dubious and (invented := found.warned - frozenset().union(*(want.warned for want in wants))):
        yield 0, f"with others, {workers} workers: warned of {sorted(invented)}"


# ----------------------------------------------------------------------------------------------------- shrinking


def smaller(body: tuple[Statement, ...]) -> Iterator[tuple[Statement, ...]]:
    """The same statements but for one, or with the statements of a block in place of the block."""
    for place, each in enumerate(body):
        before, after = body[:place], body[place + 1 :]
        yield before + after
        if isinstance(each, Block):
            yield before + each.body + after
            for inner in smaller(each.body):
                yield (*before, replace(each, body=inner), *after)
            if each.tail is not None and each.header != "try:":
                yield (*before, replace(each, tail=None), *after)


def shrunk(program: Program, differs: Callable[[Program], bool]) -> Program:
    """The program without the statements and results that its difference does not need."""
    while True:
        less = [replace(program, body=body) for body in smaller(program.body)]
        for name in program.returned:
            kept = tuple(each for each in program.returned if each != name)
            # What is not returned is perhaps not computed.
            less.append(replace(program, returned=kept, complete=False))
        found = next((each for each in less if differs(each)), None)
        if found is None:
            return program
        program = found


# ------------------------------------------------------------------------------------------------------ the runs

BATCH = 5
"""Programs of one array that run together."""


def batch(start: int) -> list[str]:
    """The differences of `BATCH` programs of one array, alone and together, each with its program's source."""
    # Seeds that are as far apart as there are arrays have the same one.
    round_, place = divmod(start, len(ARRAYS))
    seeds = [(round_ * BATCH + number) * len(ARRAYS) + place for number in range(BATCH)]
    x = ARRAYS[array_of(seeds[0])]
    programs = [program_of(seed) for seed in seeds]
    before = x.tobytes()
    wants = [plain(program, x) for program in programs]
    found = []
    for seed, program, want in zip(seeds, programs, wants, strict=True):
        told = difference(program, x, want)
        if told is not None:
            found.append(shown(seed, program, told))
    if not found:
        for workers in (1, 2):
            for number, told in together(programs, x, wants, workers):
                found.append(f"seed {seeds[number]}, {told}\n{programs[number].source}")
    if x.tobytes() != before:
        found.append(f"one of the seeds {seeds} wrote to the input")
        x[...] = np.frombuffer(before, x.dtype).reshape(x.shape)
    return found


def shown(seed: int, program: Program, told: str) -> str:
    """The smallest program that differs, with what differs."""
    x = ARRAYS[array_of(seed)]
    small = shrunk(program, lambda each: difference(each, x) is not None)
    return f"seed {seed}, array {array_of(seed)!r}: {difference(small, x) or told}\n{small.source}"


def batches(first: int, count: int) -> list[str]:
    """The differences of so many batches, in this process."""
    calls.SMALLEST = SHORTEST
    return [told for start in range(first, first + count) for told in batch(start)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=10_000, help="how many programs")
    parser.add_argument("--first", type=int, default=0, help="the first batch")
    parser.add_argument("--seed", type=int, help="one program")
    options = parser.parse_args()
    if options.seed is not None:
        calls.SMALLEST = SHORTEST
        program, x = program_of(options.seed), ARRAYS[array_of(options.seed)]
        print(f"{program.source}\n\narray {array_of(options.seed)!r}, complete: {program.complete}, {program.levels}")
        told = difference(program, x)
        print("no difference" if told is None else shown(options.seed, program, told))
        return int(told is not None)
    begun, step, wrong = time.perf_counter(), 20, 0
    total = -(-options.count // BATCH)
    starts = range(options.first, options.first + total, step)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for found in pool.map(batches, starts, [min(step, options.first + total - start) for start in starts]):
            for told in found:
                wrong += 1
                print(told, end="\n\n", flush=True)
    print(f"{total * BATCH:,} programs in {time.perf_counter() - begun:.0f} s: {wrong} differ from their plain calls")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
