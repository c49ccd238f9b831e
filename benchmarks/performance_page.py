"""Writes docs/performance.md from the JSON in benchmarks/results: python benchmarks/performance_page.py

Each benchmark keeps what it measured, with the machine, the day and its command; this page repeats them in words, so
that no figure of it is written by hand.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
ORDER = ("training", "prediction_predict", "prediction_single", "prediction_embed", "writing-story", "writing-repeat",
         "start", "serving", "rows", "lengths")
RULES = (
    ("batches",
     "rows of a batch stand end to end, without padding, where the family allows it",
     "`training.batcher`"),
    ("precision of training",
     "bf16 products where the processor has `avx512_bf16` or `amx_bf16`, or on a GPU; weights, norms "
     "and the optimizer in fp32",
     "`training.precision`"),
    ("precision of predictions",
     "bf16 on the same machines for `predict`, `embed`, `ask` and `generate`; fp32 for a run's scores"
     " and `evaluate`",
     "`--precision`, `evaluation.precision`"),
    ("layers in bf16",
     "layers of BERT's, RoBERTa's, ELECTRA's and DistilBERT's form are laid out once for the processor and run in "
     "eight calls; a text that comes alone is rounded up to a multiple of eight rows, for which there are kernels",
     "`--precision fp32`: the library's own layers"),
    ("attention on an NVIDIA GPU",
     "one kernel for all texts of a row, flash attention in bf16 and fp16, memory-efficient attention in fp32; it is "
     "tried on some small texts first, and where it is not there or gives other numbers, a warning says so and torch's "
     "public attention is taken, by groups of padded texts",
     "–"),
    ("embeddings in training",
     "where at most half of the vocabulary occurs in the training rows, a small table of those rows "
     "is looked up and moved (AdamW, untied embeddings); the rest stays as it is",
     "–"),
    ("examples at once",
     "as many as the memory takes, halved where it does not; the step stays the same",
     "`training.micro_batch_size`"),
    ("baselines",
     "fitted on at most 50,000 training rows, drawn by the seed",
     "`evaluation.baseline_rows`"),
)
INTRODUCTION = """# Performance

<!-- written by benchmarks/performance_page.py from benchmarks/results; `make bench` measures anew -->

Every figure is the median of several turns beside its peer in one run: each turn is a process of its own, forwards in
one turn, backwards in the next. `make bench` repeats them on your machine and writes this page anew.

## What is chosen by which rule

@RULES@

On a GPU: `python benchmarks/gpu.py` runs the tests that need one and measures training, prediction and writing beside
transformers in at most eight minutes. No GPU has run it so far: its figures are not here, and what is chosen for a GPU
is tested without one only.
"""


def position(name: str) -> int:
    """Where the results of this name stand on the page."""
    return next((index for index, start in enumerate(ORDER) if name.startswith(start)), len(ORDER))


def about(content: dict[str, Any]) -> str:
    machine = content["machine"]
    formats = f" ({', '.join(machine['formats'])})" if machine["formats"] else ""
    day = f", {content['date']}" if "date" in content else ""
    return (f"`{content['command']}`{day}: {machine['processor']}{formats}, {machine['threads']} threads, torch "
            f"{machine['torch']}, transformers {machine['transformers']}.")


def system_table(content: dict[str, Any]) -> list[str]:
    """A row for each system: median, range, how many times the first is as fast, memory, share of the peak."""
    systems = content["systems"]
    has_peak = all("bf16_peak" in system for system in systems.values())
    has_clock = all("p50_ms" in system for system in systems.values())
    names = ["system", content["unit"], "lowest to highest", "times the first", "MB",
             *(["of the bf16 peak"] if has_peak else []), *(["median ms on the clock"] if has_clock else [])]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for name, system in systems.items():
        cells = [name, f"{system['median']:,.0f}", f"{system['lowest']:,.0f} to {system['highest']:,.0f}",
                 f"{system['times_the_first']:.2f}", f"{system['memory_mb']:,.0f}",
                 *([f"{system['gflops'] / system['bf16_peak']:.0%}"] if has_peak else []),
                 *([f"{system['p50_ms']:.2f}"] if has_clock else [])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def section(content: dict[str, Any]) -> str:
    table = system_table(content) if "systems" in content else [
        f"| {' | '.join(content['columns'])} |", "|" + "---|" * len(content["columns"]),
        *(f"| {' | '.join(row)} |" for row in content["rows"])]
    notes = [line for note in content.get("notes", ()) for line in (note, "")]
    return "\n".join([f"## {content['title']}", "", *table, "", *notes, about(content), ""])


def main() -> None:
    contents = {path.stem: json.loads(path.read_text(encoding="utf-8"))
                for path in sorted((HERE / "results").glob("*.json"))}
    measured = [name for name in contents if "title" in contents[name]]  # the others have pages of their own
    sections = [section(contents[name]) for name in sorted(measured, key=lambda name: (position(name), name))]
    rules = "\n".join(["| what | rule | your choice |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in RULES)])
    PAGE.write_text("\n".join([INTRODUCTION.replace("@RULES@", rules), *sections]), encoding="utf-8")


if __name__ == "__main__":
    main()
