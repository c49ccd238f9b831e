"""The lowest versions that pyproject.toml states, one `name==version` a line: what `make oldest` installs.

    python wheels/oldest.py [EXTRA …]      the requirements of headstart, and those of the extras
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
LEFT_OUT = ("ray",)  # it needs newer releases of starlette and others than headstart does; its tests are skipped
OWN_NAME = "headstart"  # an extra that is made of others names them as headstart[parquet,excel]


def lowest(requirement: str) -> str:
    """`pyarrow>=17` becomes `pyarrow==17`; what states no lowest version stays as it is."""
    match = re.fullmatch(r"\s*([\w.-]+(?:\[[\w,-]+\])?)\s*>=\s*([\w.]+).*", requirement)
    return f"{match[1]}=={match[2]}" if match else requirement


def requirements(extras: list[str]) -> list[str]:
    """What headstart and the extras need, at its lowest, without LEFT_OUT; raises KeyError for an unknown extra."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    names = list(project["dependencies"])
    for extra in extras:
        for name in project["optional-dependencies"][extra]:
            own = re.fullmatch(rf"{OWN_NAME}\[([\w,-]+)\]", name)
            names += requirements(own[1].split(",")) if own else [name]
    return list(dict.fromkeys(lowest(name) for name in names if not name.startswith(LEFT_OUT)))


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
