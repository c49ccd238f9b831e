"""The wheels of both distributions from this tree: headstart, and headstart-predict, which needs no torch.

    python wheels/build.py --to dist

headstart comes as a source archive too, and its wheel is built from that archive: what the archive lacks, the wheel
would lack.

headstart-predict is the same package with other metadata: those of pyproject.toml, changed by its table
[tool.headstart.predict].
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

import tomli_w

ROOT = Path(__file__).parent.parent
COPIED = ("headstart", "LICENSE", "wheels/predict.md")
# What the source archive is made from; MANIFEST.in says which of it goes in.
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE")


def small_project(project: dict, small: dict) -> dict:
    """The project table of headstart-predict."""
    extras = project.get("optional-dependencies", {})
    return project | {name: small[name] for name in ("name", "description", "readme", "dependencies")} | {
        "optional-dependencies": {name: extras[name] for name in small["extras"]}}


def copy_small(folder: Path) -> None:
    """The tree of headstart-predict, with its own pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = small_project(settings["project"], settings["tool"]["headstart"]["predict"])
    for name in COPIED:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, target)
    content = {"build-system": settings["build-system"], "project": project,
               "tool": {"setuptools": settings["tool"]["setuptools"]}}
    (folder / "pyproject.toml").write_text(tomli_w.dumps(content), encoding="utf-8")


def copy_whole(folder: Path) -> None:
    """The tree of headstart; the examples are those of `headstart quickstart`."""
    shutil.copytree(ROOT / "headstart", folder / "headstart", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "examples" / "data", folder / "examples" / "data")
    for name in SOURCES:
        shutil.copyfile(ROOT / name, folder / name)


def build_archive(folder: Path, to: Path) -> Path:
    """Build the source archive of a tree, and unpack it beside the tree: the unpacked folder."""
    to.mkdir(parents=True, exist_ok=True)
    script = "import sys; from setuptools.build_meta import build_sdist; print(build_sdist(sys.argv[1]))"
    output = subprocess.run([sys.executable, "-c", script, str(to.resolve())], cwd=folder, check=True,
                            capture_output=True, text=True).stdout
    archive = to / output.splitlines()[-1]
    with tarfile.open(archive) as file:
        file.extractall(folder.parent / "unpacked", filter="data")
    return folder.parent / "unpacked" / archive.name.removesuffix(".tar.gz")


def build(folder: Path, to: Path) -> None:
    """Build the wheel of a tree; setuptools is the one that is installed here."""
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--no-build-isolation", "--wheel-dir", str(to), str(folder)], check=True)


def main() -> None:
    """Build what is asked for, and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="folder of the wheels")
    parser.add_argument("--only", choices=("headstart", "headstart-predict"), help="one of them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only != "headstart":
            copy_small(Path(folder) / "small")
            build(Path(folder) / "small", arguments.to)
        if arguments.only != "headstart-predict":
            copy_whole(Path(folder) / "whole")
            build(build_archive(Path(folder) / "whole", arguments.to), arguments.to)
    for path in sorted([*arguments.to.glob("*.whl"), *arguments.to.glob("*.tar.gz")]):
        print(f"{path} {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
