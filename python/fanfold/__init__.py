"""fanfold: hand it your functions, and it runs them all over one shared array, in one pass, on every core.

>>> import numpy as np, fanfold as ff
>>> x = np.arange(10.0)
>>> r = ff.run(x, ["mean", "max", ff.std(ddof=1)])
>>> r["mean"], r["max"]
(np.float64(4.5), np.float64(9.0))
>>> r.report.passes
1

`run` answers once; `plan` prepares a call that is made often; `Pool` fixes the number of workers; `kernels` lists what
has a name. Each named kernel is also a constructor of this module that takes its parameters: ``ff.std(ddof=1)``.
"""

from fanfold import _core
from fanfold._core import Kernel, KernelPanic
from fanfold.api import Plan, Pool, plan, run
from fanfold.background import arun, submit
from fanfold.catalogue import Catalogue, KernelInfo, Parameter, kernels
from fanfold.describe import describe
from fanfold.info import Info, info
from fanfold.kernels import *  # noqa: F403 - one constructor for each kernel of the catalogue
from fanfold.kernels import __all__ as _constructors
from fanfold.results import Histogram, LinearRegression, Report, Results, Times

__version__: str = _core.config()["version"]

__all__ = [
    "Catalogue",
    "Histogram",
    "Info",
    "Kernel",
    "KernelInfo",
    "KernelPanic",
    "LinearRegression",
    "Parameter",
    "Plan",
    "Pool",
    "Report",
    "Times",
    "Results",
    "arun",
    "describe",
    "info",
    "kernels",
    "plan",
    "run",
    "submit",
    *_constructors,
]


def __dir__() -> list[str]:
    """What users call; the modules behind it are not shown."""
    return sorted([*__all__, "__version__", "__doc__"])
