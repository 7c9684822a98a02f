"""What the catalogue says of a kernel is so: documentation, parameters, examples, dtypes, passes."""

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import fanfold as ff
import oracle
import sequences
import zoo
from fanfold.kernels import is_constructor

ROOT = Path(__file__).parent.parent
KERNELS = ff.kernels()
NAMES = [info.name for info in KERNELS]

# NumPy's names of all dtypes that the zoo has, in its order.
FAMILIES = list(dict.fromkeys(map(zoo.family, zoo.DTYPES)))

KEY = "None or the key of an array"

each = pytest.mark.parametrize("info", KERNELS, ids=NAMES)


def section(info: ff.KernelInfo) -> str:
    """The kernel's part of docs/kernels.md."""
    text = (ROOT / "docs/kernels.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {info.name}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def words(text: str) -> str:
    """The text without line breaks and markup."""
    return " ".join(text.replace("`", "").split())


# ---- the list ----


def test_the_zoo_has_every_dtype_of_the_catalogue() -> None:
    assert set(FAMILIES) == {dtype for info in KERNELS for dtype in info.dtypes}


def test_every_kernel_is_public_by_its_name() -> None:
    public = {name for name in ff.__all__ if is_constructor(getattr(ff, name))}
    assert public == set(NAMES)
    assert len(NAMES) == len(public)


def test_the_documentation_lists_every_kernel_and_no_other() -> None:
    text = (ROOT / "docs/kernels.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == NAMES


# ---- facts ----

SHAPES = {
    "number": lambda answer: np.ndim(answer) == 0,
    "positions": lambda answer: np.asarray(answer).dtype == np.int64 and np.ndim(answer) <= 1,
    "quantiles": lambda answer: np.ndim(answer) <= 1,
    "matrix": lambda answer: answer.shape == (2, 2),
    "items": lambda answer: type(answer) is np.ndarray and answer.ndim == 1,
    "record": lambda answer: isinstance(answer, tuple) and hasattr(answer, "_fields"),
}


@each
def test_the_answer_has_the_shape_that_the_catalogue_says(info: ff.KernelInfo) -> None:
    x = np.array([3.0, 1.0, 2.0, 2.0, 5.0])
    for parameters in info.examples:
        kernel = getattr(ff, info.name)(**parameters)
        answer = ff.run(x if info.arrays == "one" else {"x": x, "y": x[::-1]}, kernel)[info.name]
        assert SHAPES[info.answers](answer), kernel
        if info.answers == "quantiles":
            assert np.shape(answer) == np.shape(kernel.parameters["q"])
    assert (info.answers == "positions") == ("arg" in info.numpy or info.name.startswith("arg"))


# ---- words ----


@each
def test_the_summary_is_one_sentence_on_a_line(info: ff.KernelInfo) -> None:
    assert info.summary == info.doc.split("\n")[0]
    assert re.fullmatch(r"(The|A|Whether) .*[^.]\.", info.summary)
    assert len(info.summary) <= 100


@each
def test_the_documentation_is_prose(info: ff.KernelInfo) -> None:
    for paragraph in info.doc.split("\n\n"):
        assert paragraph == paragraph.strip()
        assert paragraph.endswith((".", ":"))
        assert "  " not in paragraph
    assert info.doc.count("``") % 2 == 0


@each
def test_the_docstring_says_what_the_catalogue_does(info: ff.KernelInfo) -> None:
    text = inspect.getdoc(getattr(ff, info.name)) or ""
    assert text.startswith(info.doc)
    assert f"``{info.numpy}``" in text
    for parameter in info.parameters:
        assert f"{parameter.name} : {parameter.accepts}, default {parameter.default!r}\n    {parameter.doc}" in text


@each
def test_the_page_says_what_the_catalogue_does(info: ff.KernelInfo) -> None:
    text = section(info)
    assert words(info.doc) in words(text)
    like = "near to" if info.name in oracle.APPROXIMATE else "the same as"
    assert f"- {like} `{info.numpy}`\n" in text
    assert f"- dtypes: {', '.join(info.dtypes)}\n" in text
    passes = {0: "no pass", 1: "one pass"}.get(info.passes, f"{info.passes} passes")
    assert f"- {passes}" in text
    for parameter in info.parameters:
        assert f"- `{parameter.name}={parameter.default!r}`: {parameter.accepts}. " in text


@each
def test_what_is_said_of_empty_arrays_is_so(info: ff.KernelInfo) -> None:
    """A value need not be told of, if no other would be expected; an exception must."""
    said = re.search(r"([^\s;]+) for an empty|empty array raises (\S+?)[.;,]", info.doc)
    told = "".join(part.strip("`") for part in said.groups(default="")) if said else None
    (answer,) = ff.run(oracle.data(info, np.array([])), info.name, on_error="return").values()
    if isinstance(answer, Exception):
        assert told == type(answer).__name__
    elif told:
        assert told == {"nan": "NaN", "0.0": "0", "1.0": "1"}.get(str(answer), str(answer))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("nan")])
def test_what_omits_nan_says_so(name: str) -> None:
    info = KERNELS[NAMES.index(name)]
    assert re.search(r"NaN\b.* (are|is) (left out|ignored|omitted)|(without|omit\w+|ignoring) .*\bNaN", info.doc)


# ---- the expression ----


def test_what_is_approximate_says_so_in_its_name() -> None:
    assert {name for name in NAMES if name.endswith("_approx")} == set(oracle.APPROXIMATE)


@each
def test_the_expression_uses_its_parameters_and_nothing_unknown(info: ff.KernelInfo) -> None:
    tree = ast.parse(info.numpy, mode="eval")
    # Keywords are names of NumPy's parameters, not values.
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    parameters = {parameter.name for parameter in info.parameters}
    if info.arrays == "all":
        used = used - {"columns"} | {"x"}
    assert "x" in used
    if info.name in oracle.APPROXIMATE:  # What says how near an answer is has nothing to say of the exact one.
        parameters -= {"relative_error", "precision"}
    assert parameters <= used <= parameters | {"x", "y", *oracle.NAMES}


# ---- parameters ----


@each
def test_parameters_are_documented_and_have_valid_defaults(info: ff.KernelInfo) -> None:
    for parameter in info.parameters:
        assert parameter.name.isidentifier()
        assert re.fullmatch(r"[A-Z`].*\.", parameter.doc)
        assert parameter.accepts
        assert not parameter.accepts.endswith(".")
    defaults = {parameter.name: parameter.default for parameter in info.parameters}
    kernel = ff.Kernel(info.name)
    assert kernel.parameters == defaults
    assert kernel == ff.Kernel(info.name, **defaults)


@each
def test_the_default_is_that_of_numpy_or_scipy(info: ff.KernelInfo) -> None:
    """Where the expression hands a parameter on under its own name."""
    call = ast.parse(info.numpy, mode="eval").body
    if not isinstance(call, ast.Call):
        return
    if info.name in sequences.NAMES and "pd" in info.numpy:
        return  # A method of a method's result; pandas demands a window.
    function = eval(ast.unparse(call.func), dict(oracle.NAMES))
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    used = {
        word.arg: {node.id for node in ast.walk(word.value) if isinstance(node, ast.Name)} for word in call.keywords
    }
    if info.name not in oracle.APPROXIMATE:
        named = {parameter.name for parameter in info.parameters if parameter.accepts != KEY}
        assert {name for name in used if name in used[name]} == named
    for parameter in info.parameters:
        other = {
            ("histogram", "density"): None,  # That is false.
            ("cov_matrix", "ddof"): None,  # That is 1.
            ("norm", "ord"): None,  # That is 2 for vectors.
            ("median_abs_deviation", "center"): None,  # That is the median.
        }.get((info.name, parameter.name), parameter.default)
        if parameter.name in defaults:  # Without a quantile NumPy has no default.
            assert defaults[parameter.name] == other


@each
def test_the_constructor_takes_the_parameters_by_position_and_by_name(info: ff.KernelInfo) -> None:
    constructor = getattr(ff, info.name)
    for example in info.examples:
        kernel = constructor(**example)
        assert kernel == ff.Kernel(info.name, **example)
        assert kernel.name == info.name
    values = [parameter.default for parameter in info.parameters]
    assert constructor(*values) == constructor() == ff.Kernel(info.name)
    with pytest.raises(TypeError, match=f"'{info.name}'.*{len(values) + 1} positional"):
        constructor(*values, 1)
    with pytest.raises(TypeError, match=f"'{info.name}' has no parameter 'axis'"):
        constructor(axis=0)


@each
def test_no_parameter_accepts_what_it_does_not_say(info: ff.KernelInfo) -> None:
    for parameter in info.parameters:
        for value in ("one", object(), [[1.0, 2.0], [3.0, 4.0]], {"a": 1}, 1j, b"1", np.array("x")):
            if isinstance(value, str) and parameter.accepts == KEY:
                continue
            # Another name is of the right type, where there are names.
            names = "'" in parameter.accepts and isinstance(value, str)
            with pytest.raises(
                ValueError if names else TypeError,
                match=f"'{info.name}': {parameter.name} must be {re.escape(parameter.accepts)}",
            ):
                ff.Kernel(info.name, **{parameter.name: value})


@each
def test_the_examples_are_different_and_use_every_parameter(info: ff.KernelInfo) -> None:
    assert info.examples[0] == {}
    kernels = [ff.Kernel(info.name, **example) for example in info.examples]
    assert len(set(kernels)) == len(kernels)
    used = {name for example in info.examples for name in example}
    assert used == {parameter.name for parameter in info.parameters if parameter.accepts != KEY}


@each
def test_every_parameter_makes_a_difference(info: ff.KernelInfo) -> None:
    x = zoo.ordinary("float64", 50)
    if info.name == "rank":
        x = np.round(x)  # With equal elements.
    data = oracle.data(info, x)
    answers = [ff.run(data, ff.Kernel(info.name, **example))[info.name] for example in info.examples]
    assert len({oracle.bits(answer) for answer in answers}) == len(answers)


# ---- dtypes ----


@each
@pytest.mark.parametrize("dtype", [*zoo.DTYPES, *zoo.UNKNOWN])
def test_the_dtypes_are_exactly_those_that_work(info: ff.KernelInfo, dtype: str) -> None:
    x = zoo.elements(dtype, "three elements") if dtype in zoo.DTYPES else np.zeros(3, dtype)
    if zoo.family(dtype) in info.dtypes:
        # Of elements in order there are differences in unsigned dtypes too.
        ff.run(np.sort(x) if info.name == "diff" else oracle.data(info, x), info.name)
    else:
        with pytest.raises(TypeError):
            ff.run(oracle.data(info, x), info.name)


@each
def test_dtypes_are_in_numpys_order(info: ff.KernelInfo) -> None:
    assert list(info.dtypes) == [dtype for dtype in FAMILIES if dtype in info.dtypes]


# ---- passes ----


@each
def test_the_passes_are_those_of_a_run(info: ff.KernelInfo) -> None:
    x = zoo.ordinary("float64", 50_000)  # More than what is answered from a sample, which is then everything.
    data = oracle.data(info, x)
    r = ff.run(data, info.name)
    assert r.report.passes == info.passes
    assert r.report.bytes_read == info.passes * (x.nbytes if data is x else 2 * x.nbytes)


@each
def test_the_plan_explains_as_many_passes(info: ff.KernelInfo) -> None:
    assert len(re.findall(r"^pass \d", ff.plan(info.name).explain(), re.MULTILINE)) == info.passes
