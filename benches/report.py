"""The records, and the tables and pictures that are made from them.

    python benches/report.py     write the tables and pictures of the latest records anew

README.md has five figures and a picture, docs/performance.md all figures.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import Any

from measuring import Figure, Measured, Row, seconds
from pictures import pictures

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "benches" / "record"
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "pictures"
FIGURES, TOOLBOX = "figures", "toolbox"
"""What a record and a table are about: they have a benchmark's name."""
FIVE = ("numpy-twelve", "polars-eleven", "functions-numpy", "quantiles-numpy", "stream-memory")
"""The figures in README.md: statistics beside two ways that people know, functions of users, quantiles, memory."""
PEERS = ("numpy", "scipy", "numba", "llvmlite", "polars")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def host(config: dict[str, Any], peers: Sequence[str] = PEERS) -> dict[str, Any]:
    """Where and with what the figures are measured."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "date": date.today().isoformat(),
        "cpu": model[1] if model else platform.processor(),
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "fanfold": {name: config.get(name) for name in ("version", "simd", "workers", "debug")},
        "commit": commit(),
        "peers": {name: importlib.metadata.version(name) for name in peers},
    }


def commit() -> str | None:
    """The commit of the sources, with a + if they are changed; None outside of a repository."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def about(where: dict[str, Any]) -> str:
    """The host in one line."""
    ours = where["fanfold"]
    peers = ", ".join(f"{name} {version}" for name, version in where["peers"].items())
    return (
        f"{where['date']}, {where['cpu']}, {where['cores']} cores (load before: {where['load_before']}), "
        f"{where['system']}; fanfold {ours['version']} ({ours['simd']}, {ours['workers']} workers), "
        f"Python {where['python']}, {peers}"
    )


def amount(value: float | None, unit: str) -> str:
    """A measured amount with its unit."""
    if value is None:
        return "-"
    if unit == "s":
        return seconds(value)
    return f"{value:.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def claimed(value: float, unit: str) -> str:
    """A claimed value with its unit: `61.3 x`, `84 %`."""
    digits = f"{value:.0f}" if unit == "threads" or abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}"


def limit(figure: Figure, value: float | None) -> str:
    """A goal or an aim."""
    return "-" if value is None else f"{figure.sense} {value:g} {figure.unit}"


def verdict(row: Row) -> str:
    """Whether goal and aim are reached."""
    if row.measured is None:
        return "**no** (failed)"
    if not row.goal_reached:
        return "**no**"
    if row.aim_reached is None:
        return "yes"
    return "yes, the aim too" if row.aim_reached else "yes, not the aim"


def spread(measured: Measured, unit: str) -> str:
    """The claim and how far it varied over the pairs."""
    if measured.pairs == 1:
        return claimed(measured.value, unit)
    low, high = (claimed(v, unit).removesuffix(f" {unit}") for v in (measured.lowest, measured.highest))
    return f"{claimed(measured.value, unit)} ({low} to {high})"


def line(row: Row) -> str:
    """A row for the terminal."""
    figure, measured = row.figure, row.measured
    head = f"{figure.name:<22}"
    if measured is None:
        return f"{head} FAILED: {row.error}"
    reached = verdict(row).replace("**", "")
    ours, peer = amount(measured.ours, measured.unit), amount(measured.peer, measured.unit)
    return (
        f"{head} ours {ours:>8}  peer {peer:>8}  "
        f"{spread(measured, figure.unit):<28} goal {limit(figure, figure.goal):<18} {reached}"
        + (f"\n{'':22} {measured.note}" if measured.note else "")
    )


def full_table(rows: Sequence[Row]) -> str:
    """Every figure with everything that is known about it."""
    lines = [
        "| what | against | ours | peer | ratio (over the pairs) | goal | aim | reached |",
        "| --- | --- | ---: | ---: | ---: | --- | --- | --- |",
    ]
    for row in rows:
        figure, m = row.figure, row.measured
        measured = ("-", "-", "-")
        if m is not None:
            measured = (amount(m.ours, m.unit), amount(m.peer, m.unit), spread(m, figure.unit))
        goals = (limit(figure, figure.goal), limit(figure, figure.aim), verdict(row))
        lines.append("| " + " | ".join((figure.what, figure.against, *measured, *goals)) + " |")
    notes = [f"- {row.figure.what}, {row.figure.against}: {text}" for row in rows if (text := note(row))]
    return "\n".join(lines) + ("\n\nNotes:\n\n" + "\n".join(notes) if notes else "")


def note(row: Row) -> str:
    """Say what else there is to a row."""
    if row.measured is None:
        return f"failed: {row.error}"
    short = "" if row.goal_reached and row.aim_reached is not False else row.figure.bound
    return "; ".join(text for text in (row.measured.note, short) if text)


def compact_table(rows: Sequence[Row]) -> str:
    """The table for docs/performance.md: no column that a reader can do without."""
    lines = ["| what | against | ratio | goal | reached |", "| --- | --- | ---: | --- | --- |"]
    for row in rows:
        figure, m = row.figure, row.measured
        value = "-" if m is None else claimed(m.value, figure.unit)
        goal = limit(figure, figure.goal) + (f" (aim {figure.aim:g})" if figure.aim is not None else "")
        lines.append("| " + " | ".join((figure.what, figure.against, value, goal, verdict(row))) + " |")
    return "\n".join(lines)


def short_table(rows: Sequence[Row]) -> str:
    """The table for README.md."""
    lines = ["| what | fanfold | others | ratio |", "| --- | ---: | ---: | ---: |"]
    chosen = {row.figure.name: row for row in rows}
    for figure, m in ((chosen[name].figure, chosen[name].measured) for name in FIVE if name in chosen):
        if m is None:
            continue
        if figure.name == "stream-memory":
            lines.append(f"| {figure.what} | {amount(m.value, m.unit)} more than {figure.against} | | |")
            continue
        ours, peer = amount(m.ours, m.unit), amount(m.peer, m.unit)
        lines.append(f"| {figure.what} | {ours} | {figure.against}: {peer} | {claimed(m.value, figure.unit)} |")
    return "\n".join(lines)


def tally(rows: Sequence[Row]) -> str:
    """How many goals and aims are reached."""
    aims = [row.aim_reached for row in rows if row.aim_reached is not None]
    return f"{sum(row.goal_reached for row in rows)} of {len(rows)} goals reached, {sum(aims)} of {len(aims)} aims"


def markers(about: str) -> re.Pattern[str]:
    """The place of a table on a page."""
    return re.compile(rf"(<!-- {about}:begin -->\n).*?(<!-- {about}:end -->)", re.DOTALL)


def stem(about: str, day: str) -> str:
    """The name of a day's record."""
    return day if about == FIGURES else f"{about}-{day}"


def write_record(
    rows: Sequence[Row], where: dict[str, Any], about_what: str = FIGURES, functions: Sequence[Any] = ()
) -> list[Path]:
    """Write the record of this day, as data and to read; with the times of each function, if there are any."""
    RECORD.mkdir(parents=True, exist_ok=True)
    figures = [
        {
            **{k: v for k, v in vars(row.figure).items() if k != "measure"},
            "measured": asdict(row.measured) if row.measured else None,
            "error": row.error or None,
            "goal_reached": row.goal_reached,
            "aim_reached": row.aim_reached,
        }
        for row in rows
    ]
    record: dict[str, Any] = {"host": where, "figures": figures}
    if functions:
        record["functions"] = [asdict(each) for each in functions]
    name = stem(about_what, where["date"])
    data = RECORD / f"{name}.json"
    data.write_text(json.dumps(record, indent=2) + "\n")
    text = RECORD / f"{name}.md"
    text.write_text(
        f"# {about_what.capitalize()} of {where['date']}\n\n{about(where)}.\n\n{tally(rows)}. "
        "Medians; ours and the peer's timed in pairs, one next to the other; in parentheses the lowest and "
        f"the highest ratio of a pair.\n\n{full_table(rows)}\n"
    )
    return [data, text]


def read_record(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """Read the rows and the host of a record."""
    record = json.loads(path.read_text())
    rows = []
    for each in record["figures"]:
        known = {field.name: each[field.name] for field in fields(Figure) if field.name in each}
        measured = Measured(**each["measured"]) if each["measured"] else None
        rows.append(Row(Figure(**known, measure=_measured_then), measured, each["error"] or ""))
    return rows, record["host"]


def _measured_then(bench: Any) -> Measured:
    raise TypeError("this figure is from a record: the benchmark that wrote it measures")


def latest(about_what: str) -> Path | None:
    """The latest record of a benchmark."""
    return max(RECORD.glob(f"{stem(about_what, '[0-9]*')}.json"), default=None)


def check_pages(about_what: str = FIGURES) -> None:
    """Fail early if a page has no place for the figures."""
    for page in (README, PAGE) if about_what == FIGURES else (PAGE,):
        if not page.is_file() or not markers(about_what).search(page.read_text()):
            raise SystemExit(f"{page} has no lines <!-- {about_what}:begin --> and <!-- {about_what}:end -->")


def pages() -> dict[Path, str]:
    """The pages with the tables of the latest records, and the pictures."""
    texts = {page: page.read_text() for page in (README, PAGE)}
    for about_what in (FIGURES, TOOLBOX):
        path = latest(about_what)
        if path is None:
            continue
        rows, where = read_record(path)
        place = markers(about_what)
        measured = f"{tally(rows)}; measured on {about(where)} ([all numbers](../benches/record/{path.stem}.md))."
        block = f"\n{compact_table(rows)}\n\n{measured}\n\n"
        texts[PAGE] = place.sub(lambda found, block=block: found[1] + block + found[2], texts[PAGE])
        if about_what == FIGURES:
            host = f"Measured on {where['date']}, {where['cpu']}, {where['cores']} cores."
            block = f"\n{short_table(rows)}\n\n{host}\n\n"
            texts[README] = place.sub(lambda found, block=block: found[1] + block + found[2], texts[README])
            texts |= {PICTURES / name: picture for name, picture in pictures(rows).items()}
    return texts


def write_pages() -> list[Path]:
    """Write the tables and pictures of the latest records, and return the files that changed."""
    changed = {path: text for path, text in pages().items() if not path.is_file() or path.read_text() != text}
    for path, text in changed.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return list(changed)


if __name__ == "__main__":
    for path in write_pages():
        print(f"written: {path.relative_to(ROOT)}")
