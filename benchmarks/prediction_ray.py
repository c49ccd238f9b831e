"""`--on ray` beside `--processes` on one machine, in turn, in one run: the same parts to the same number of processes.

    python benchmarks/prediction_ray.py RUN --data FOLDER [--rows 100000] [--turns 3] [--processes 2]

RUN is a text classifier of headstart, FOLDER has banking77/train.csv, whose texts are repeated. Both begin cold: the
rate is that of all rows over all seconds, the start of processes or of a cluster and the loading of the model among
them. (No rate without the start: Ray hands answers over in bundles.) Nothing else should run beside it.
"""

import json
import statistics
import time
from typing import Any

from prediction_processes import parse_arguments, repeated_examples
from prediction_speed import read_texts
from turns import measure_in_turns, rate, record


def measure(system: str, run: str, precision: str, texts: list[str], rows: int, count: int) -> dict[str, Any]:
    """Rows of one system over its seconds, and when its first answer came."""
    from headstart.api.model import load
    from headstart.prediction.on_ray.pool import RayPool
    from headstart.prediction.worker_pool import WorkerPool
    from headstart.progress import Reporter

    model = load(run)
    parts = list(model.predictor(precision=precision).chunks(repeated_examples(model, texts, rows)))
    work = model.shared_work(4096, precision)
    start = time.perf_counter()
    with (RayPool if system == "ray" else WorkerPool)(work, count, Reporter()) as pool:
        moments = [time.perf_counter() for _ in pool.results(parts)]
    return {"amount": rows, "seconds": moments[-1] - start, "first_answer_seconds": moments[0] - start}


def main() -> None:
    """Both systems in turn."""
    arguments, options = parse_arguments()
    if arguments.system:
        print(json.dumps(measure(arguments.system, arguments.run, arguments.precision, read_texts(arguments.data),
                                 arguments.rows, arguments.processes)))
        return
    measured = measure_in_turns(__file__, ["processes", "ray"], options, arguments.turns)
    for system, results in measured.items():
        first = statistics.median(result["first_answer_seconds"] for result in results)
        print(f"  {system:<10} {rate(results):9.1f}/s   {rate(results) / rate(measured['processes']):5.2f} x   first "
              f"answer after {first:.1f} s")
    record(f"prediction_ray_{arguments.processes}",
           f"Predicting {arguments.rows:,} short texts: Ray beside --processes", "a second of the clock", measured)


if __name__ == "__main__":
    main()
