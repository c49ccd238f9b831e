"""What a language model writes: greedy, beam and sampled texts side by side, with how likely each was; steered towards
a bag of words.

    python examples/text_generation.py "The old town" "Nobody knew" --model HuggingFaceTB/SmolLM2-135M
    python examples/text_generation.py "The old town" --steer sea --steer kitchen --stepsize 0.05

A bag is one of headstart's (science, sea, kitchen) or a file with a word on each line.
"""

import argparse
import math

import headstart
from headstart.generation.steering.comparison import row_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--model", default="distilgpt2")
    parser.add_argument("--max-new-tokens", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steer", action="append", help="a bag of words, a file of words, or FOLDER=LABEL; may be "
                                                         "given often")
    parser.add_argument("--stepsize", type=float, default=0.02, help="how strongly")
    args = parser.parse_args()
    model = headstart.load(args.model)
    strategies = {"greedy": {}, "beam search": {"num_beams": 3}, "top-k 50": {"do_sample": True, "top_k": 50},
                  "top-p 0.9": {"do_sample": True, "top_p": 0.9}}
    for strategy, settings in strategies.items():
        for row in model.generate(args.prompts, max_new_tokens=args.max_new_tokens, seed=args.seed, **settings):
            mean_loss = -row["log_probability"] / max(1, len(row["tokens"]))
            print(f"{strategy} (perplexity {math.exp(mean_loss):.1f}, ended by {row['ended']}): "
                  f"{row['prompt']}{row['prediction']}")
    if args.steer:
        for row in model.generate(args.prompts, max_new_tokens=args.max_new_tokens, seed=args.seed, do_sample=True,
                                  steer=args.steer, steering={"stepsize": args.stepsize}):
            print(f"\n{row_text(row, colour=False)}")


if __name__ == "__main__":
    main()
