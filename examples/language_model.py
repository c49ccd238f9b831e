"""Go on with a language model's training on your own texts, whole or by LoRA, then let it write.

    python examples/language_model.py notes.txt --model HuggingFaceTB/SmolLM2-135M --write "The hens"
    python examples/language_model.py notes.txt --model HuggingFaceTB/SmolLM2-135M --adapter lora --rank 16
    python examples/language_model.py chats.jsonl --prompt question --response reply

A file of plain text (a line is a text), or a table with a column of texts, or with prompts and responses: then the
response alone is learned. With --adapter lora small matrices are trained beside the model (RUN/adapter); RUN/model
holds all of it merged.
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="a text file, or csv, jsonl, parquet; dev and test rows are split off")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--prompt", help="the column of prompts")
    parser.add_argument("--response", help="the column of responses")
    parser.add_argument("--model", default="distilgpt2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--blocks", action="store_true", help="join short texts until an input is full")
    parser.add_argument("--adapter", choices=("none", "lora"), default="none")
    parser.add_argument("--rank", type=int, default=8, help="of LoRA")
    parser.add_argument("--write", action="append", help="a prompt that is written on afterwards; may be given often")
    args = parser.parse_args()
    columns = {name: column for name in ("text", "prompt", "response") if (column := getattr(args, name))}
    run = headstart.finetune(args.train, task="language-model", columns=columns, model=args.model, to=args.to,
                             epochs=args.epochs, adapter={"rank": args.rank}, reporter=headstart.console_reporter(),
                             **{"training.adapter": args.adapter, "task.group_texts": args.blocks})
    print(f"\n{run.summary()}")
    for row in run.model.generate(args.write or ["The"], max_new_tokens=30):
        print(f"\n{row['prompt']}{row['prediction']}")


if __name__ == "__main__":
    main()
