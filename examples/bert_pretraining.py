"""A small BERT from nothing but your own documents: a tokenizer, a config, and pre-training on masked words and next
sentences.

    python examples/bert_pretraining.py documents.txt --to small-bert
    python examples/bert_pretraining.py documents.jsonl --to small-bert --layers 6 --width 256 --epochs 20

In a text file a line is a sentence and an empty line ends a document. Afterwards small-bert/run/model is an ordinary
transformers folder: fine-tune it by --model small-bert/run/model.
"""

import argparse
import json
from pathlib import Path

import headstart
from headstart.cli.main import main as command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="documents: a text file, csv, jsonl or parquet")
    parser.add_argument("--to", default="small-bert", help="folder of tokenizer, config and run")
    parser.add_argument("--pieces", type=int, default=8000, help="most pieces of the tokenizer")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128, help="of a state; a multiple of 64")
    parser.add_argument("--max-length", type=int, default=128, help="tokens of one input")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--fill", default="The [MASK] was closed.", help="a text with [MASK] to fill at the end")
    args = parser.parse_args()
    folder = Path(args.to)
    command(["tokenizer", args.train, "--to", str(folder / "start"), "--size", str(args.pieces), "--lowercase"])
    config = {"model_type": "bert", "hidden_size": args.width, "num_hidden_layers": args.layers,
              "num_attention_heads": args.width // 64,
              "intermediate_size": 4 * args.width, "max_position_embeddings": args.max_length}
    (folder / "start" / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    run = headstart.finetune(args.train, task="bert-pretraining", from_scratch=folder / "start", to=folder / "run",
                             epochs=args.epochs, reporter=headstart.console_reporter())
    show(run, args.fill)


def show(run: headstart.Run, text: str) -> None:
    print(f"\n{run.summary()}\n\n{text}")
    model = run.model
    (answer,) = model.predict([text])
    for guesses in answer["fills"]:
        print("  " + ", ".join(f"{guess['token']} {guess['probability']:.3f}" for guess in guesses))
    size = sum(weights.numel() for weights in model.transformer.module.parameters())
    print(f"\n{size:,} weights, {len(model.transformer.tokenizer.hf_tokenizer):,} pieces")


if __name__ == "__main__":
    main()
