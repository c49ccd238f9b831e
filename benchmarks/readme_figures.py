"""Writes the figures of README.md from the JSON in benchmarks/results: python benchmarks/readme_figures.py

They stand between two marks in README.md, and are never written by hand; `make bench` calls this.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
START, END = "<!-- figures: written by benchmarks/readme_figures.py -->", "<!-- end of the figures -->"
# The file of a comparison, what it measures, whose figure stands there, and beside whom, in words.
COMPARISONS = (
    ("training", "training MiniLM, batches of 32: tokens a second", "headstart", {
        "trainer-expert": "Hugging Face Trainer, tuned by hand (bf16, batches by length, fused AdamW)",
        "trainer-run-glue": "Hugging Face Trainer as run_glue sets it (fp32, padded to 128)"}),
    ("prediction_predict_2", "predicting short texts: texts a second of processor time", "headstart-bf16", {
        "pipeline-bf16": "transformers' pipeline, batched and sorted, in bf16",
        "pipeline-fp32": "transformers' pipeline, batched and sorted, in fp32"}))
NO_GPU = ("On a GPU: **not measured yet**. The GPU path has tests, but it has not been run; `python benchmarks/gpu.py` "
          "runs the tests and measures.")
HEAD = ["| what | headstart | the peer | headstart is |", "|---|---|---|---|"]


def read(name: str, folder: Path) -> Mapping[str, Any]:
    """The results of this name; empty where it was not measured."""
    path = folder / f"{name}.json"
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def comparison_rows(content: Mapping[str, Any], what: str, subject: str, peers: Mapping[str, str]) -> list[str]:
    """A row for each peer: both figures and how many times as fast headstart is."""
    ours = content["systems"][subject]["median"]
    return [f"| {what} | {ours:,.0f} | {peer}: {content['systems'][name]['median']:,.0f} | "
            f"{ours / content['systems'][name]['median']:.3g} times as fast |" for name, peer in peers.items()]


def quality_lines(folder: Path) -> list[str]:
    """What the default settings are worth beside the Trainer's, where that was measured."""
    summary = read("defaults", folder)
    if not summary:
        return []
    below = f", wholly below it on {len(summary['below'])} of them" if summary["below"] else ", nowhere wholly below it"
    return [f"Quality with default settings: {summary['median']:+.1f} points from the best of three learning rates of "
            f"the Trainer, chosen after the fact by test score: the median over {summary['trainings']} trainings on "
            f"{summary['sets']} small sets (the mean is {summary['mean']:+.1f}){below} "
            "([the table](docs/defaults.md)).", ""]


def gpu_lines(folder: Path) -> list[str]:
    """What was measured on a GPU, or that nothing was."""
    measured = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("gpu-*.json"))]
    return [f"{content['title']}: " + ", ".join(
        f"{name} {system['median']:,.0f} {content['unit']}" for name, system in content["systems"].items())
        + f" ({content['date']})." for content in measured] or [NO_GPU]


def figures(folder: Path = HERE / "results") -> str:
    """The text between the marks."""
    rows, machines = [], []
    for name, what, subject, peers in COMPARISONS:
        if content := read(name, folder):
            rows += comparison_rows(content, what, subject, peers)
            machine = content["machine"]
            machines.append(f"{content['date']}, {machine['processor']}, {machine['cores']} cores "
                            f"({', '.join(machine['formats'])}), torch {machine['torch']}, transformers "
                            f"{machine['transformers']}")
    told = "; ".join(dict.fromkeys(machines))
    return "\n".join([*HEAD, *rows, "", f"Medians of several turns side by side, default settings: {told}.", "",
                      *quality_lines(folder), *gpu_lines(folder)])


def replaced(text: str) -> str:
    """README with the figures of now; raises ValueError where the marks are not there."""
    before, _, rest = text.partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"README.md lacks the marks {START} and {END}")
    return f"{before}{START}\n{figures()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(replaced(README.read_text(encoding="utf-8")), encoding="utf-8")
