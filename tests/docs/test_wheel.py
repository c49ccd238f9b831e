"""What a wheel would contain, by setuptools' own lists of files: every module, every data file, and that types are there."""

import contextlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from setuptools import Distribution

ROOT = Path(__file__).parents[2]


def wheel_files() -> set[str]:
    """The files of the package as a build would copy them."""
    with contextlib.chdir(ROOT):
        distribution = Distribution({"script_name": "setup.py"})
        distribution.parse_config_files()
        distribution.set_defaults()
        command = distribution.get_command_obj("build_py")
        command.finalize_options()
        command.include_package_data = False  # what is named in pyproject.toml, whether git knows it or not
        modules = {str(Path(path)) for _, _, path in command.find_all_modules()}
        data = {str(Path(folder) / name) for _, folder, _, names in command.data_files for name in names}
    return modules | data


def test_a_wheel_holds_every_file_of_the_package_and_says_that_it_has_types():
    files = {path.removeprefix(f"{ROOT}/") for path in wheel_files()}
    assert "headstart/py.typed" in files
    if (ROOT / ".git").exists():
        tracked = subprocess.run(["git", "ls-files", "headstart"], cwd=ROOT, capture_output=True, text=True, check=True)
        missing = {name for name in tracked.stdout.split() if (ROOT / name).exists()} - files
        assert not missing, f"no wheel would hold {sorted(missing)}"
    assert not [path for path in files if path.startswith(("tests/", "benchmarks/", "examples/"))]


def test_a_wheel_built_from_the_source_archive_is_whole_small_and_carries_the_example(tmp_path):
    subprocess.run([sys.executable, ROOT / "wheels" / "build.py", "--to", tmp_path, "--only", "headstart"], check=True,
                   capture_output=True)
    (wheel,), (source_archive,) = tmp_path.glob("headstart-*.whl"), tmp_path.glob("headstart-*.tar.gz")
    assert wheel.stat().st_size <= 2_000_000
    with zipfile.ZipFile(wheel) as archive:
        for name in ("requests.csv", "new_requests.jsonl"):
            assert archive.read(f"headstart/example_data/{name}") == (ROOT / "examples" / "data" / name).read_bytes()
        names = set(archive.namelist())
    assert {path.removeprefix(f"{ROOT}/") for path in wheel_files()} <= names
    with tarfile.open(source_archive) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert tops == {"headstart", "headstart.egg-info", "examples", "CHANGELOG.md", "LICENSE", "MANIFEST.in", "PKG-INFO",
                    "README.md", "pyproject.toml", "setup.cfg", "setup.py"}
