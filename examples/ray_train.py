"""A run on the machines of a Ray cluster: Ray Train starts the processes, and headstart finds itself among them.

    pip install 'headstart[ray]' 'ray[train]'
    python examples/ray_train.py reviews.csv --to /shared/reviews-run --processes 2

Each process runs `headstart.finetune` as under torchrun, so that the run is the same as with `headstart finetune`, on
any number of processes. FILE and --to are in a folder that all machines see.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import headstart
from headstart.prediction.on_ray.cluster import open_cluster
from headstart.progress import console_reporter


def train(arguments: dict[str, Any]) -> None:
    """What every process runs; process 0 writes the run."""
    headstart.finetune(arguments.pop("file"), reporter=headstart.Reporter(), **arguments)


def whole_path(text: str) -> str:
    """A path that means the same in every process; what is no path here (a hub name) stays."""
    return str(Path(text).absolute()) if Path(text).exists() else text


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on a Ray cluster.")
    parser.add_argument("file", help="training rows")
    parser.add_argument("--to", required=True, help="the run folder")
    parser.add_argument("--model", help="the task's default when not given")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--gpus", action="store_true", help="one for each process")
    arguments = parser.parse_args()
    choices = {"model": arguments.model and whole_path(arguments.model), "epochs": arguments.epochs}
    settings = {"file": whole_path(arguments.file), "to": str(Path(arguments.to).absolute()),
                **{name: choice for name, choice in choices.items() if choice is not None}}
    with open_cluster(console_reporter()), tempfile.TemporaryDirectory() as folder:
        from ray.train import RunConfig, ScalingConfig  # after the environment is set, which keeps Ray quiet
        from ray.train.torch import TorchTrainer

        scaling = ScalingConfig(num_workers=arguments.processes, use_gpu=arguments.gpus,
                                resources_per_worker=None if arguments.gpus else {"CPU": 0.5})
        TorchTrainer(train, train_loop_config=settings, scaling_config=scaling,
                     run_config=RunConfig(storage_path=folder)).fit()
    print(f"report: {Path(arguments.to) / 'report.html'}")


if __name__ == "__main__":
    main()
