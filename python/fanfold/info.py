"""What to say in a report of a problem: versions, the machine, the kind of build, and the number of workers."""

import os
import re
import sys
from typing import Any

from fanfold import _core
from fanfold.processors import DECISION
from fanfold.show import text

PACKAGES = ("numpy", "scipy", "pandas", "polars", "pyarrow", "loky")
"""The packages whose versions are told, if they are installed."""


class Info(dict[str, Any]):
    """The facts of a report: a ``dict`` of Python's own types that shows itself as aligned lines."""

    def __repr__(self) -> str:
        return text.facts("fanfold", self._shown())

    def _repr_html_(self) -> str:
        from fanfold.show import html

        return f"<div>{html.facts('fanfold', self._shown(), folded=False)}</div>"

    def _shown(self) -> dict[str, str]:
        """Return the facts as text for people."""
        told = {
            "version": self["version"] + (" (debug build: slow)" if self["debug"] else ""),
            "wheel": self["wheel"],
            "Python": self["python"],
            "packages": ", ".join(f"{name} {version}" for name, version in self["packages"].items()),
            "platform": self["platform"],
            "CPU": self["cpu"],
            "SIMD": f"{self['simd']} ({self['simd_source']}; available: {', '.join(self['simd_available'])})",
            "workers": f"{self['workers']} ({self['workers_source']})",
        }
        return told | {f"note {number}": note for number, note in enumerate(self["notes"], 1)}


def info() -> Info:
    """Return what to say in a report of a problem.

    Returns
    -------
    Info
        A ``dict``: fanfold's ``"version"``, whether it is a ``"debug"`` build, the kind of ``"wheel"``; the versions of
        ``"python"`` and of the installed ``"packages"``; the ``"platform"`` and the ``"cpu"``; the instruction set in
        use (``"simd"``), who decided it (``"simd_source"``), and those of this processor (``"simd_available"``); how
        many ``"workers"`` calls have that do not say how many, and who decided it (``"workers_source"``); ``"notes"``
        on settings that were ignored.

    Examples
    --------
    >>> import fanfold as ff
    >>> ff.info()["workers"] == ff.Pool().workers
    True
    """
    # They take 10 ms to import.
    import platform

    config = _core.config()
    problem = config["simd_problem"]
    is_forced = os.environ.get("FANFOLD_SIMD") and not problem
    return Info(
        version=config["version"],
        debug=config["debug"],
        wheel=_wheel(),
        python=_python(),
        packages=_versions(),
        platform=platform.platform(),
        cpu=_cpu() or platform.processor() or platform.machine(),
        simd=config["simd"],
        simd_source=f"FANFOLD_SIMD={config['simd']}" if is_forced else "the best that this processor has",
        simd_available=config["simd_available"],
        workers=config["workers"],
        workers_source=DECISION.limit.source,
        notes=[*DECISION.notes, *([problem] if problem else [])],
    )


def _python() -> str:
    import platform

    version = f"{platform.python_version()} ({platform.python_implementation()}"
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return version + (")" if has_gil else ", without the GIL)")


def _versions() -> dict[str, str]:
    """The versions of the packages that are installed. None of them is imported for it."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """The model of the processor, where Linux tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            told = file.read()
    except OSError:
        return ""
    model = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    return model[1] if model else ""


def _wheel() -> str:
    """The kind of wheel that this package was installed from."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        installed = distribution("fanfold")
        is_this = os.path.samefile(str(installed.locate_file("fanfold")), os.path.dirname(__file__))
        # An editable installation lies where its sources are, and has no files of its own there.
        tags = re.findall(r"^Tag: (\S+)$", (installed.read_text("WHEEL") or "") if is_this else "", re.MULTILINE)
    except (PackageNotFoundError, OSError):
        tags = []
    return kind_of_wheel(tags)


def kind_of_wheel(tags: list[str]) -> str:
    """Return the kind of wheel with these tags.

    >>> kind_of_wheel(["cp311-abi3-manylinux_2_17_x86_64"])
    'abi3 (cp311-abi3-manylinux_2_17_x86_64)'
    >>> kind_of_wheel(["cp314-cp314t-macosx_11_0_arm64"])
    'free-threaded (cp314-cp314t-macosx_11_0_arm64)'
    """
    if not tags:
        return "built from source"
    _, interface, machine = tags[0].split("-")
    # Wheels from an index are for manylinux or musllinux: one for plain Linux was built on the machine itself.
    if machine.startswith("linux"):
        kind = "built from source"
    elif interface.startswith("abi3"):
        kind = "free-threaded abi3" if interface == "abi3t" else "abi3"
    else:
        kind = "free-threaded" if interface.endswith("t") else "for one version of Python"
    return f"{kind} ({tags[0]})"
