"""Go on with a model's pre-training on your own texts, then let it fill in hidden words.

    python examples/masked_language_model.py notes.txt --model distilbert-base-cased --fill "The patient complains of
    [MASK]." python examples/masked_language_model.py notes.csv --text body --blocks

No labels are needed: 15 % of the tokens are hidden, whole words together, anew in every epoch. The model of this run is
a better beginning for a task on texts of the same kind: headstart finetune labelled.csv --model RUN/model
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="a text file (a line is a text), or csv, jsonl, parquet; dev and test rows are "
                                      "split off")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--model", default="distilbert-base-cased")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--blocks", action="store_true", help="join short texts until an input is full")
    parser.add_argument("--share", type=float, default=0.15, help="share of tokens that are masked")
    parser.add_argument("--fill", action="append", help="a text with one [MASK] or several; may be given often")
    args = parser.parse_args()
    run = headstart.finetune(args.train, task="masked-language-model", columns={"text": args.text} if args.text else {},
                             model=args.model, to=args.to, epochs=args.epochs, reporter=headstart.console_reporter(),
                             **{"task.group_texts": args.blocks, "task.mask_probability": args.share})
    print(f"\n{run.summary()}")
    fill(run.model, args.fill or ["The weather was [MASK] in the [MASK]."])


def fill(model: headstart.Model, texts: list[str]) -> None:
    mask = model.transformer.tokenizer.hf_tokenizer.mask_token  # [MASK] for BERT, <mask> for RoBERTa
    for text, answer in zip(texts, model.predict([text.replace("[MASK]", mask) for text in texts]), strict=True):
        print(f"\n{text}")
        for guesses in answer["fills"]:
            print("  " + ", ".join(f"{guess['token']} {guess['probability']:.3f}" for guess in guesses))


if __name__ == "__main__":
    main()
