"""Pages of notebooks, to be looked at in a browser: themes like JupyterLab's, and its sanitiser.

``python tests/pages.py FOLDER`` writes a page for each theme, trusted and sanitised.
"""

import html
import html.parser
import sys
from pathlib import Path

import numpy as np

import fanfold as ff

THEMES = {"light": ("#ffffff", "rgba(0, 0, 0, 0.87)"), "dark": ("#111111", "rgba(255, 255, 255, 0.87)")}
"""The colours of ground and text in JupyterLab's themes."""

STYLE = """
body {{ background: {ground}; color: {text}; font: 13px system-ui, sans-serif; margin: 16px; }}
table {{ border-collapse: collapse; border: none; font-size: 12px; margin-bottom: 1em; }}
td, th, tr {{ text-align: right; vertical-align: middle; padding: 0.5em; border: none; }}
"""
"""What JupyterLab's style sheet says of tables in outputs."""

TAGS = {"div", "p", "span", "pre", "b", "img", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
"""Tags that JupyterLab's sanitiser allows (packages/apputils/src/sanitizer.ts): those that might be used here."""

ATTRIBUTES = {"alt", "src", "width", "height", "title", "colspan", "rowspan", "style", "class", "open"}

STYLES = {"text-align", "color", "background-color", "width", "height", "font-weight"}

EMPTY = {"img"}


class _Sanitiser(html.parser.HTMLParser):
    """Leaves of a page what JupyterLab leaves of the output of a notebook that is not trusted."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[str] = []
        self._dropped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._dropped += 1
        if tag not in TAGS:
            return
        kept = []
        for name, value in attrs:
            if name == "style":
                rules = [rule for rule in (value or "").split(";") if rule.split(":")[0].strip() in STYLES]
                value = ";".join(rules)
            if name in ATTRIBUTES:
                kept.append(f' {name}="{html.escape(value or "")}"')
        self.left.append(f"<{tag}{''.join(kept)}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._dropped -= 1
        if tag in TAGS - EMPTY:
            self.left.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._dropped:
            self.left.append(html.escape(data))


def sanitised(text: str) -> str:
    """What JupyterLab leaves of HTML in a notebook that is not trusted."""
    parser = _Sanitiser()
    parser.feed(text)
    parser.close()
    return "".join(parser.left)


def shown() -> dict[str, str]:
    """The HTML of results of every kind, by what is shown."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(100_000)
    table = {"price": rng.gamma(2, 30, 5000), "size <&>": rng.integers(1, 9, 5000)}
    shops = np.array(["Ålesund", "Bergen & Co", "Oslo"])[rng.integers(0, 3, 5000)]
    kernels = ["mean", "std", "count", ff.quantile([0.01, 0.25, 0.5, 0.75, 0.99]), ff.histogram(bins=30), "sort", "any"]
    failing = {"bad": lambda v: 1 / 0, "<b>": lambda v: "<script>document.body.innerHTML = ''</script>"}
    results: dict[str, ff.Results] = {
        "an array": ff.run(x, kernels),
        "a table": ff.run(table, ["mean", "max", ff.histogram(bins=12)]),
        "a description": ff.describe({**table, "shop": shops}),
        "groups": ff.run(table["price"], ["mean", "count", ff.histogram(bins=10)], by=shops),
        "failures": ff.run(x, failing, on_error="return"),
    }
    pages = {title: r._repr_html_() for title, r in results.items()}
    return pages | {"a report": results["an array"].report._repr_html_()}


def page(theme: str, outputs: dict[str, str]) -> str:
    """A page of a notebook."""
    ground, text = THEMES[theme]
    body = "".join(f"<h4>{html.escape(title)}</h4>\n<section>{output}</section>\n" for title, output in outputs.items())
    style = STYLE.format(ground=ground, text=text)
    return f"<!DOCTYPE html><html><head><meta charset='utf-8'><style>{style}</style></head><body>{body}</body></html>"


def pages() -> dict[str, str]:
    """A page for each theme, trusted and sanitised."""
    outputs = shown()
    safe = {title: sanitised(output) for title, output in outputs.items()}
    trust = {"trusted": outputs, "sanitised": safe}
    return {f"{theme}, {name}": page(theme, those) for theme in THEMES for name, those in trust.items()}


if __name__ == "__main__":
    for name, text in pages().items():
        Path(sys.argv[1], f"{name.replace(', ', '-')}.html").write_text(text, encoding="utf-8")
