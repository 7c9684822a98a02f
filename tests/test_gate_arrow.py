"""Arrow structs that lie about what they hold are refused, and released once."""

import json

from fresh import run_script

HOSTILE = """
import ctypes, itertools, json
from ctypes import POINTER, CFUNCTYPE, c_char_p, c_int, c_int64, c_void_p

class Schema(ctypes.Structure):
    pass

class Values(ctypes.Structure):
    pass

class Flow(ctypes.Structure):
    pass

Schema._fields_ = [
    ("format", c_char_p), ("name", c_char_p), ("metadata", c_char_p), ("flags", c_int64), ("n_children", c_int64),
    ("children", POINTER(POINTER(Schema))), ("dictionary", POINTER(Schema)),
    ("release", c_void_p), ("private", c_void_p),
]
Values._fields_ = [
    ("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64), ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)), ("children", POINTER(POINTER(Values))), ("dictionary", POINTER(Values)),
    ("release", c_void_p), ("private", c_void_p),
]
Flow._fields_ = [(name, c_void_p) for name in ("get_schema", "get_next", "get_last_error", "release", "private")]

kept = []
given = []
released = []

def releaser(kind):
    def release(pointer):
        struct = ctypes.cast(pointer, POINTER(kind)).contents
        released.append(struct.private)
        struct.release = None
    function = CFUNCTYPE(None, c_void_p)(release)
    kept.append(function)
    return ctypes.cast(function, c_void_p).value

RELEASE = {kind: releaser(kind) for kind in (Schema, Values, Flow)}
numbers = itertools.count(1)

def filled(struct, **own):
    struct.release, struct.private = RELEASE[type(struct)], next(numbers)
    for name, value in own.items():
        setattr(struct, name, value)
    kept.append((struct, own))
    return struct

def pointers(kind, items):
    found = (POINTER(kind) * max(1, len(items)))()
    for place, item in enumerate(items):
        if item is not None:
            found[place] = ctypes.pointer(item)
    kept.append(found)
    return ctypes.cast(found, POINTER(POINTER(kind)))

def schema(format=b"l", children=(), **own):
    own = {"name": b"", "n_children": len(children), **own}
    if children:
        own.setdefault("children", pointers(Schema, children))
    return filled(Schema(), format=format, **own)

NUMBERS = np.array([3, 1, 2, 7])
BITS = np.array([0b1101], np.uint8)
NO_BITS = np.array([0], np.uint8)

def values(buffers=(None, NUMBERS), children=(), **own):
    found = (c_void_p * max(1, len(buffers)))(*(None if each is None else each.ctypes.data for each in buffers))
    kept.append(found)
    own = {"length": 4, "n_buffers": len(buffers), "n_children": len(children), **own}
    made = filled(Values(), **own, buffers=ctypes.cast(found, POINTER(c_void_p)))
    if children:
        made.children = pointers(Values, children)
    return made

def without(made, name):
    setattr(made, name, type(getattr(made, name))())
    return made

new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [c_void_p, c_char_p, c_void_p]
NAMES = {Schema: b"arrow_schema", Values: b"arrow_array", Flow: b"arrow_array_stream"}

def capsule(struct, name=None):
    name = ctypes.create_string_buffer(NAMES[type(struct)] if name is None else name)
    kept.append(name)
    if struct.release:
        given.append(struct.private)
    return new(ctypes.addressof(struct), ctypes.cast(name, c_char_p), None)

def nameless(struct):
    return new(ctypes.addressof(struct), None, None)

class Lies:
    pass

def offers(method, make):
    return type("Offers", (Lies,), {method: make})()

def array(make):
    return offers("__arrow_c_array__", lambda self, schema=None: make())

def stream(make):
    return offers("__arrow_c_stream__", lambda self, schema=None: make())

def pair(schema, values):
    return array(lambda: (capsule(schema), capsule(values)))

def struct(child, format=b"l", **own):
    return pair(schema(b"+s", [schema(format, name=b"x")]), values((None,), [child], **own))

def named(name):
    return pair(schema(b"+s", [schema(name=name)]), values((None,), [values()]))

RISING = np.array([0, 1, 2, 3, 4], np.int32)
FALLING = RISING[::-1].copy()
LETTERS = np.frombuffer(b"abcd", np.uint8)
VIEWS = np.array([[20, 0, 0, 0]] * 4, np.int32)
SIZES = np.array([4])

def coded(indices, names):
    kept.append(indices)
    whole = schema(b"i", dictionary=ctypes.pointer(schema(b"u")))
    return pair(whole, values((None, indices), dictionary=ctypes.pointer(names)))

def flow(make_schema=lambda: schema(), arrays=(), error=None, **own):
    arrays = iter(arrays)
    def get_schema(pointer, out):
        made = make_schema()
        if isinstance(made, int):
            return made
        ctypes.memmove(out, ctypes.addressof(made), ctypes.sizeof(Schema))
        given.append(made.private) if made.release else None
        return 0
    def get_next(pointer, out):
        made = next(arrays, None)
        if isinstance(made, int):
            return made
        if made is not None:
            ctypes.memmove(out, ctypes.addressof(made), ctypes.sizeof(Values))
            given.append(made.private)
        return 0
    def get_last_error(pointer):
        return error
    functions = {
        "get_schema": CFUNCTYPE(c_int, c_void_p, c_void_p)(get_schema),
        "get_next": CFUNCTYPE(c_int, c_void_p, c_void_p)(get_next),
        "get_last_error": CFUNCTYPE(c_void_p, c_void_p)(get_last_error),
    }
    kept.append(functions)
    found = {name: ctypes.cast(each, c_void_p).value for name, each in functions.items()}
    made = filled(Flow(), **{**found, **own})
    return stream(lambda: capsule(made))

class Own(Exception):
    pass

def raising(error):
    def method(self, schema=None):
        raise error
    return method

def twice(capsules):
    return array(lambda: capsules)

def used(data):
    ff.run(data, "count")
    return data

BIG = 2**63 - 1
TEXT = ctypes.create_string_buffer(bytes([0xFF, 0xFE, 0x41]))

CASES = {
    # ---- capsules ----
    "array: None": lambda: array(lambda: None),
    "array: nothing": lambda: array(lambda: ()),
    "array: one": lambda: array(lambda: (capsule(schema()),)),
    "array: no tuple": lambda: array(lambda: capsule(schema())),
    "array: three": lambda: array(lambda: (capsule(schema()), capsule(values()), None)),
    "array: a text of two": lambda: array(lambda: "ab"),
    "array: not capsules": lambda: array(lambda: (1, 2)),
    "array: second is None": lambda: array(lambda: (capsule(schema()), None)),
    # ---- labels ----
    "text without buffers": lambda: pair(schema(b"u"), values(())),
    "text without bytes": lambda: pair(schema(b"u"), values((None, RISING))),
    "text at 0": lambda: pair(schema(b"u"), values((None, RISING, None))),
    "text with offsets that fall": lambda: pair(schema(b"u"), values((None, FALLING, LETTERS))),
    "text with offsets below 0": lambda: pair(schema(b"u"), values((None, FALLING - 9, LETTERS))),
    "large text with offsets that fall": lambda: pair(schema(b"U"), values((None, FALLING.astype("i8"), LETTERS))),
    "views without buffers": lambda: pair(schema(b"vu"), values(())),
    "views of no buffer": lambda: pair(schema(b"vu"), values((None, VIEWS, SIZES))),
    "views outside their buffer": lambda: pair(schema(b"vu"), values((None, VIEWS, LETTERS, SIZES))),
    "views of fewer than 0 bytes": lambda: pair(schema(b"vu"), values((None, -VIEWS, LETTERS, SIZES))),
    "no dictionary": lambda: pair(schema(b"i", dictionary=ctypes.pointer(schema(b"u"))), values((None, RISING))),
    "an index outside its dictionary": lambda: coded(RISING + 4, values((None, RISING, LETTERS))),
    "an index below 0": lambda: coded(RISING - 1, values((None, RISING, LETTERS))),
    "a dictionary of lies": lambda: coded(RISING % 4, values((None, FALLING, LETTERS))),
    "array: first is None": lambda: array(lambda: (None, capsule(values()))),
    "array: swapped": lambda: array(lambda: (capsule(values()), capsule(schema()))),
    "array: two schemas": lambda: array(lambda: (capsule(schema()), capsule(schema()))),
    "array: other names": lambda: array(lambda: (capsule(schema(), b"schema"), capsule(values(), b"array"))),
    "array: empty names": lambda: array(lambda: (capsule(schema(), b""), capsule(values(), b""))),
    "array: no names": lambda: array(lambda: (nameless(schema()), nameless(values()))),
    "array: used": lambda: used(twice((capsule(schema()), capsule(values())))),
    "array: the same twice": lambda: array(lambda: (capsule(schema()),) * 2),
    "array: schema released": lambda: pair(schema(release=None), values()),
    "array: values released": lambda: pair(schema(), values(release=None)),
    "array: no function": lambda: offers("__arrow_c_array__", 1),
    "array: too many arguments": lambda: offers("__arrow_c_array__", lambda self, one, two, three: None),
    "array: property raises": lambda: offers("__arrow_c_array__", property(raising(RuntimeError("no")))),
    "array: property is none": lambda: offers("__arrow_c_array__", property(raising(AttributeError("no")))),
    **{
        f"{method}: raises {type(error).__name__}": lambda method=method, error=error: offers(method, raising(error))
        for method in ("__arrow_c_array__", "__arrow_c_stream__")
        for error in (
            ValueError("no"), TypeError("no"), RuntimeError("no"), KeyError("no"), Own("no"), AttributeError("no"),
            StopIteration(), OSError("no"), NotImplementedError(), RecursionError(), AssertionError(), Own(TEXT.raw),
        )
    },
    "stream: None": lambda: stream(lambda: None),
    "stream: a tuple": lambda: stream(lambda: (capsule(schema()), capsule(values()))),
    "stream: another name": lambda: stream(lambda: capsule(filled(Flow()), b"arrow_array")),
    "stream: no name": lambda: stream(lambda: nameless(filled(Flow()))),
    "stream: released": lambda: flow(release=None),
    "stream: used": lambda: used(flow(arrays=[values()])),
    # ---- streams ----
    "stream: no get_schema": lambda: flow(get_schema=None),
    "stream: no get_next": lambda: flow(get_next=None),
    "stream: no functions": lambda: stream(lambda: capsule(filled(Flow()))),
    "stream: schema fails": lambda: flow(lambda: 5),
    "stream: schema fails, no last error": lambda: flow(lambda: 5, get_last_error=None),
    "stream: schema fails, text of other bytes": lambda: flow(lambda: -5, error=ctypes.addressof(TEXT)),
    "stream: schema is released": lambda: flow(lambda: schema(release=None)),
    "stream: next fails": lambda: flow(arrays=[22], error=ctypes.addressof(TEXT)),
    "stream: next fails later": lambda: flow(arrays=[values(), values(), 22]),
    "stream: second is negative": lambda: flow(arrays=[values(), values(length=-1)]),
    "stream: struct without fields": lambda: flow(lambda: schema(b"+s", [schema(name=b"x")]), [values()]),
    "stream: fields without struct": lambda: flow(lambda: schema(b"+s"), [values((None,), [values()])]),
    "stream: no arrays": lambda: flow(),
    # ---- lengths ----
    "length -1": lambda: pair(schema(), values(length=-1)),
    "least length": lambda: pair(schema(), values(length=-BIG - 1)),
    "offset -1": lambda: pair(schema(), values(offset=-1)),
    "least offset": lambda: pair(schema(), values(offset=-BIG - 1)),
    "greatest length": lambda: pair(schema(), values(length=BIG)),
    "greatest length of bytes": lambda: pair(schema(b"c"), values(length=BIG, offset=1)),
    "greatest offset": lambda: pair(schema(), values(offset=BIG)),
    "greatest of both": lambda: pair(schema(), values(length=BIG, offset=BIG)),
    "a length whose bytes are none": lambda: pair(schema(), values(length=2**61)),
    "no buffers": lambda: pair(schema(), values(())),
    "one buffer": lambda: pair(schema(), values((NUMBERS,))),
    "-1 buffers": lambda: pair(schema(), values(n_buffers=-1)),
    "buffers at 0": lambda: pair(schema(), without(values(), "buffers")),
    "values at 0": lambda: pair(schema(), values((None, None))),
    "values at 0, with bits": lambda: pair(schema(), values((BITS, None), null_count=1)),
    "bools at 0": lambda: pair(schema(b"b"), values((None, None))),
    "days at 0": lambda: pair(schema(b"tdD"), values((None, None))),
    # ---- structs ----
    "field -1": lambda: struct(values(length=-1)),
    "field offset -1": lambda: struct(values(offset=-1)),
    "field too short": lambda: struct(values(length=3)),
    "field too short for the offset": lambda: struct(values(), offset=1),
    "struct -1": lambda: struct(values(), length=-1),
    "struct offset -1": lambda: struct(values(), offset=-1),
    "struct of the greatest length": lambda: struct(values(), length=BIG),
    "struct of the greatest of both": lambda: struct(values(length=BIG), length=BIG, offset=BIG),
    "all of the greatest": lambda: struct(values(length=BIG, offset=BIG), length=BIG, offset=BIG),
    "field without buffers": lambda: struct(values(())),
    "field with values at 0": lambda: struct(values((None, None))),
    "field at 0": lambda: struct(None),
    "fields at 0": lambda: pair(
        schema(b"+s", [schema(name=b"x")]), without(values((None,), [values()]), "children")),
    "-1 fields": lambda: struct(values(), n_children=-1),
    "more fields": lambda: struct(values(), n_children=2),
    "field released": lambda: struct(values(release=None)),
    "field released, without buffers": lambda: struct(without(values((), release=None), "buffers")),
    "schema with -1 fields": lambda: pair(schema(b"+s", n_children=-1), values((None,), n_children=-1)),
    "schema with fields at 0": lambda: pair(schema(b"+s", n_children=1), values((None,), [values()])),
    "schema with a field at 0": lambda: pair(schema(b"+s", [None]), values((None,), [values()])),
    "struct without fields": lambda: pair(schema(b"+s"), values((None,))),
    "two fields of a name": lambda: pair(
        schema(b"+s", [schema(name=b"x"), schema(name=b"x")]), values((None,), [values(), values()])),
    # ---- types ----
    "format at 0": lambda: pair(schema(None), values()),
    **{
        f"format {format!r}": lambda format=format: pair(schema(format), values())
        for format in (
            b"", b" ", b"ll", b"\\xff", b"\\xc3\\xa9", b"t", b"ts", b"tsx:", b"tsx", b"tD", b"tDx", b"td", b"tdx",
            b"tt", b"ttx", b"tiM", b"tiD", b"w:8", b"d:5,2", b"+", b"+l", b"+w:2", b"+ud:0", b"+r", b"+m", b"n", b"u",
            b"z", b"vu", b"x" * 10_000, b"l" + b"\\xe2\\x82",
        )
    },
    "dictionary": lambda: pair(
        schema(dictionary=ctypes.pointer(schema(b"u"))), values(dictionary=ctypes.pointer(values()))),
    "struct with a dictionary": lambda: pair(
        schema(b"+s", [schema(name=b"x")], dictionary=ctypes.pointer(schema(b"u"))), values((None,), [values()])),
}

# What says nothing wrong, or nothing that matters: the right answer, or a refusal of what cannot be.
ANSWERED = {
    "null_count 0": (lambda: pair(schema(), values()), 4, True),
    "null_count -1": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=-1)), 3, True),
    "null_count -1 without bits": (lambda: pair(schema(), values(null_count=-1)), 4, True),
    "null_count too large": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=100)), 3, False),
    "null_count too small": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=-100)), 3, False),
    "greatest null_count": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=BIG)), 3, False),
    "null_count without bits": (lambda: pair(schema(), values(null_count=2)), 4, False),
    "struct null_count -1": (lambda: struct(values((BITS, NUMBERS), null_count=-1), null_count=-1), 3, True),
    "all null": (lambda: pair(schema(), values((NO_BITS, NUMBERS), null_count=-1)), 0, True),
    "no length, no buffers": (lambda: pair(schema(), values((), length=0)), 0, True),
    "no length, values at 0": (lambda: pair(schema(), values((None, None), length=0)), 0, True),
    "no length, buffers at 0": (lambda: pair(schema(), without(values((), length=0), "buffers")), 0, True),
    "a name of other bytes": (lambda: named(bytes([0xFF, 0xFE])), 4, True),
    "no name": (lambda: named(None), 4, True),
    "three chunks, one empty": (lambda: flow(arrays=[values(), values(length=0), values()]), 8, True),
    "one more buffer": (lambda: pair(schema(), values((None, NUMBERS, None))), 4, True),
}

def is_refusal(error):
    if isinstance(error, ExceptionGroup):
        return all(map(is_refusal, error.exceptions))
    return isinstance(error, (TypeError, ValueError))

USES = {
    "data": lambda lies: ff.run(lies, "count"),
    "dict": lambda lies: ff.run({"a": lies}, ["count", "max"]),
    "function": lambda lies: ff.run(lies, [np.size]),
    "where": lambda lies: ff.run(np.arange(4), "count", where=lies),
    "weights": lambda lies: ff.run(np.arange(4.0), "mean", weights=lies),
    "by": lambda lies: ff.run(np.arange(4), "count", by=lies),
}

wrong = {}
for name, make in CASES.items():
    for use, run in USES.items():
        print("at", name, use, file=sys.stderr, flush=True)
        given.clear(), released.clear()
        lies = make()
        try:
            found = f"answered {dict(run(lies))}"
        except BaseException as error:
            found = "" if is_refusal(error) else f"{type(error).__name__}: {error}"
            del error
        if found:
            wrong[f"{name}, as {use}"] = found[:300]
        if len(set(released)) != len(released) or not set(released) <= set(given):
            wrong[f"{name}, as {use}, released"] = f"{given} were given, {released} released"

for name, (make, count, is_legal) in ANSWERED.items():
    print("at", name, file=sys.stderr, flush=True)
    given.clear(), released.clear()
    lies = make()
    found = ""
    try:
        own = ff.run(lies, "count")["count"]
        own = next(iter(own.values())) if isinstance(own, dict) else own
        if own != count:
            found = f"counted {own}, not {count}"
    except Exception as error:
        found = repr(error) if is_legal or not is_refusal(error) else ""
    if found:
        wrong[name] = found[:300]
    if sorted(released) != sorted(given):
        wrong[f"{name}, released"] = f"{given} were given, {released} released"
print(json.dumps(wrong))
"""


def test_what_lies_is_refused() -> None:
    wrong = json.loads(run_script(HOSTILE).splitlines()[-1])
    assert wrong == {}, "\n".join(f"{case}: {found}" for case, found in wrong.items())
