"""What pyproject.toml cannot say: the wheel carries the example of `headstart quickstart`."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXAMPLES = ("requests.csv", "new_requests.jsonl")


class BuildWithExamples(build_py):
    """Copies the files of examples/data that the quickstart writes into the package that is built."""

    def run(self) -> None:
        """Build, then copy; an editable installation reads the checkout's own files."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "headstart" / "example_data"
        self.mkpath(str(target))
        for name in EXAMPLES:
            self.copy_file(str(Path(__file__).parent / "examples" / "data" / name), str(target / name))


setup(cmdclass={"build_py": BuildWithExamples})
