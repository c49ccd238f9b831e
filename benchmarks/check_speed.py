"""How long `headstart check` takes on a large csv of texts and labels, beside polars and pyarrow that only read it:

    python benchmarks/check_speed.py [ROWS]          (500,000 rows, 110 MB, when not given)

Each line is one process: seconds of processor time, seconds, megabytes at most, and the seconds that 2 GB (9.9 million
rows) would take at the same rate. The check finds the dialect, reads every row, learns the labels and looks for equal
and nearly equal texts; the tokens are looked at in 20,000 rows, whatever the size, and are not timed here.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

LARGE = 9_900_000  # rows of 2 GB
WORDS, POOL = 30_000, 1_000_000  # different words, and words in a row from which texts are cut
READERS = {
    "headstart check": "from headstart.preparation.dataset import read_dataset\n"
                       "from headstart.progress import Reporter\n"
                       "from headstart.settings.run_settings import run_settings\n"
                       "read_dataset(run_settings({'train': path}, {}, {}), Reporter(), None, split=False)",
    "Python's csv, no more": "import csv\nwith open(path, newline='') as file:\n    for row in csv.reader(file): pass",
    "pandas, bare": "import pandas\npandas.read_csv(path)",
    "polars, bare": "import polars\npolars.read_csv(path)",
    "pyarrow, bare": "import pyarrow.csv\npyarrow.csv.read_csv(path, parse_options=pyarrow.csv.ParseOptions("
                     "newlines_in_values=True))",
}
MEASURE = ("import resource, sys, time\npath, start, used = sys.argv[1], time.perf_counter(), time.process_time()\n{}\n"
           "memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
           "print(time.process_time() - used, time.perf_counter() - start, memory)")


def write_rows(path: Path, count: int) -> None:
    """Texts of 15 to 50 words, a tenth of them in quotes, with one of seven labels."""
    rng = random.Random(1)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(WORDS)]
    pool = rng.choices(vocabulary, [1 / (rank + 5) for rank in range(WORDS)], k=POOL)
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for number in range(count):
            start = rng.randrange(POOL - 50)
            text = " ".join(pool[start:start + rng.randint(15, 50)])
            text = f'"{text.replace(" ", ", ", 2)}"' if number % 10 == 0 else text
            file.write(f"{text},label{number % 7}\n")


def main(count: int) -> None:
    """Write the file, then time every reader on it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, count)
        print(f"{count:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
        print(f"{'':24}{'processor s':>12}{'s':>8}{'MB':>8}{'s for 2 GB':>12}")
        for name, code in READERS.items():
            process = subprocess.run([sys.executable, "-c", MEASURE.format(code), str(path)], capture_output=True,
                                     text=True)
            if process.returncode:
                print(f"{name:24}{process.stderr.strip().splitlines()[-1]}")
                continue
            used, seconds, memory = map(float, process.stdout.split())
            print(f"{name:24}{used:12.1f}{seconds:8.1f}{memory:8.0f}{used * LARGE / count:12.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
