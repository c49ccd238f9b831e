"""kill -9 at random moments: every run must resume to the same weights as one that was left alone.

    python benchmarks/kill.py --times 40
"""

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "headstart", *map(str, arguments)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    import tiny
    from conftest import review_rows, write_csv

    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data, model = write_csv(folder / "reviews.csv", review_rows(120)), tiny.model_folder("bert", folder / "bert")
        flags = [data, "--model", model, "--epochs", 6, "--batch-size", 8, "--quiet", "--set", "training.save_every=2",
                 "--set", "evaluation.resamples=10", "--set", "evaluation.baselines=false"]
        start = time.perf_counter()
        subprocess.run(command("finetune", *flags, "--to", folder / "whole"), check=True, stdout=subprocess.DEVNULL)
        full_seconds = time.perf_counter() - start
        expected_hash = weights_hash(folder / "whole")
        matches = 0
        for trial in range(args.times):
            run = folder / "cut"
            process = subprocess.Popen(command("finetune", *flags, "--to", run), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            while not (run / "settings.toml").exists() and process.poll() is None:
                time.sleep(0.002)
            kills = 0
            while process.poll() is None:
                time.sleep(rng.uniform(0, 0.8 * full_seconds))
                process.kill()
                process.wait()
                kills += 1
                if (run / "report.html").exists() or kills == 3:
                    break
                process = subprocess.Popen(command("resume", run, "--quiet"), stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
            subprocess.run(command("resume", run, "--quiet"), check=True, stdout=subprocess.DEVNULL)
            match = weights_hash(run) == expected_hash
            matches += match
            print(f"{trial + 1:3}  killed {kills} times  {'same' if match else 'DIFFERENT'} weights", flush=True)
            shutil.rmtree(run)
        print(f"{matches} of {args.times} resumed to the same SHA-256")
        sys.exit(matches != args.times)


def weights_hash(run: Path) -> str:
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
