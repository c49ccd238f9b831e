"""What a language model writes: likeliest and drawn texts side by side, with how likely each was; steered towards a bag of words.

    python examples/text_generation.py "The old town" "Nobody knew" --model HuggingFaceTB/SmolLM2-135M
    python examples/text_generation.py "The old town" --steer sea --steer kitchen --stepsize 0.05

A bag is one of headstart's (science, sea, kitchen) or a file with a word on each line.
"""

import argparse
import math

import headstart
from headstart.generation.steering.comparison import words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--model", default="distilgpt2")
    parser.add_argument("--new-tokens", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steer", action="append", help="a bag of words, a file of words, or FOLDER=LABEL; may be given often")
    parser.add_argument("--stepsize", type=float, default=0.02, help="how strongly")
    given = parser.parse_args()
    model = headstart.load(given.model)
    ways = {"likeliest": {}, "beams": {"beams": 3}, "top-k 50": {"sample": True, "top_k": 50}, "top-p 0.9": {"sample": True, "top_p": 0.9}}
    for way, settings in ways.items():
        for row in model.generate(given.prompts, new_tokens=given.new_tokens, seed=given.seed, **settings):
            surprise = -row["log_probability"] / max(1, len(row["tokens"]))
            print(f"{way} (perplexity {math.exp(surprise):.1f}, ended by {row['ended']}): {row['prompt']}{row['prediction']}")
    if given.steer:
        for row in model.generate(given.prompts, new_tokens=given.new_tokens, seed=given.seed, sample=True, steer=given.steer,
                                  steering={"stepsize": given.stepsize}):
            print(f"\n{words(row, colour=False)}")


if __name__ == "__main__":
    main()
