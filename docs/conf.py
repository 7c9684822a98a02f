"""How Sphinx makes the site: `make docs` builds it into build/docs, and every warning is an error."""

import re
from typing import Any

from sphinx.application import Sphinx

import fanfold

project = "fanfold"
copyright = "the authors of fanfold"
release = version = fanfold.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
html_theme = "furo"
html_title = f"fanfold {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]

# Links to headings of pages (`shapes.md#weights`), as on the pages of a repository.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

# Notebooks keep their outputs: scripts/notebooks.py runs them, and tests/test_notebooks.py compares.
nb_execution_mode = "off"

# The docstrings name the types, in words that are shorter than the annotations.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_google_docstring = False


def as_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Change what is written for doctest and for readers of the repository."""
    # doctest wants an empty line at the end of an example; readers need none.
    text = re.sub(r"\n\n( *)```\n", r"\n\1```\n", source[0])
    # MyST takes a Markdown file for a page, also if it lies elsewhere in the repository.
    source[0] = re.sub(r"\[([^]]+)\]\((\.\./[^)]+\.md)\)", r"{download}`\1 <\2>`", text)


def with_links(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make links of the pages that docstrings name by their files: ``docs/shapes.md``."""
    lines[:] = [re.sub(r"``docs/(\w+)\.md``", r":doc:`\1`", line) for line in lines]


def without_others(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Remove the parameter that collects misspelt ones, to suggest the right ones."""
    return signature and signature.replace(", **others", ""), returns


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect what is done to the pages."""
    app.connect("source-read", as_page)
    app.connect("autodoc-process-docstring", with_links)
    app.connect("autodoc-process-signature", without_others)
    return {"parallel_read_safe": True}
