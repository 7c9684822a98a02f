"""Makes the links of README.md absolute, for the page of a package index, where relative ones lead nowhere.

python scripts/absolute_links.py ADDRESS TAG    ADDRESS is that of the repository, as in https://host/owner/name

The release does it before it builds: the address is that of whoever publishes, and the links are those of the tag.
"""

import re
import sys
from pathlib import Path

README = Path("README.md")


def absolute(text: str, address: str, tag: str) -> str:
    """Return a text with absolute links to files of the repository: to their pages, and to pictures themselves."""
    return re.sub(
        r"(!?)(\[[^]]*\])\((?!https?://|#)([^)]+)\)",
        lambda link: f"{link[1]}{link[2]}({address}/{'raw' if link[1] else 'blob'}/{tag}/{link[3]})",
        text,
    )


if __name__ == "__main__":
    README.write_text(absolute(README.read_text(encoding="utf-8"), *sys.argv[1:]), encoding="utf-8")
