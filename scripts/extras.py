"""Prints the requirements of an extra of pyproject.toml, to be installed before the package is built."""

import sys
import tomllib
from pathlib import Path


def requirements(extra: str) -> list[str]:
    """The extra's requirements and the package's, with the extras that it names resolved."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = list(project["dependencies"])
    for requirement in project["optional-dependencies"][extra]:
        if requirement.startswith("fanfold["):
            found += requirements(requirement.removeprefix("fanfold[").removesuffix("]"))
        else:
            found.append(requirement)
    return sorted(set(found))


if __name__ == "__main__":
    print(*(f"'{requirement}'" if " " in requirement else requirement for requirement in requirements(sys.argv[1])))
