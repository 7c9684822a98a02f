"""A first try of an installed fanfold: the wheel is complete, and its answers are NumPy's."""

import sys

import numpy as np

import fanfold as ff

x = np.random.default_rng(0).standard_normal(1_000_000)
r = ff.run(x, ["mean", "std", "min", "argmax", ff.histogram(bins=20)], workers=2)
np.testing.assert_allclose([r["mean"], r["std"]], [x.mean(), x.std()])
assert (r["min"], r["argmax"]) == (x.min(), x.argmax())
np.testing.assert_array_equal(r["histogram"].counts, np.histogram(x, 20)[0])
assert ff.run(x, {"rows": len})["rows"] == len(x)
assert not ff.show_config()["debug"]
try:
    ff.run(x, "meen")
except ValueError as error:
    assert "did you mean 'mean'?" in str(error)
else:
    raise AssertionError("an unknown name was accepted")
print(f"fanfold {ff.__version__} works on Python {sys.version.split()[0]} with NumPy {np.__version__}: {r.report}")
