"""Writing one text at a time: headstart beside the library's generate, in fp32 and in bf16.

    python benchmarks/writing.py --model FOLDER       a decoder (SmolLM2-135M)

Two kinds of prompt: a story goes on (nothing to look up), and a text is to be said again (its words repeat). Greedy,
the same number of new tokens for all; headstart also with prompt lookup, whose tokens are compared with those of greedy
decoding.
"""

import argparse
import json
import time
from typing import Any

from turns import measure_in_turns, rate, record

SYSTEMS = ["headstart", "headstart-lookup", "headstart-fp32", "transformers", "transformers-fp32"]
TEXT = ("The harbour of the old town was built in three parts. The first part, near the church, has the fishing boats. "
        "The second part, near the market, has the ferries. The third part, behind the wall, has the sailing boats. ")
PROMPTS = {"story": "Once upon a time there was a lighthouse keeper who",
           "repeat": TEXT + "Say it again, word for word: " + TEXT[:60]}
NEW_TOKENS = 96


def write(system: str, model_folder: str, prompt: str) -> tuple[float, list[int]]:
    """Seconds and token ids of the second of two texts (the first warms up)."""
    import torch

    if system.startswith("headstart"):
        import headstart

        model = headstart.load(model_folder, precision="fp32" if system.endswith("fp32") else "bf16")
        options: dict[str, Any] = {"prompt_lookup_num_tokens": 10} if system.endswith("lookup") else {}
        for _ in range(2):
            start = time.perf_counter()
            row = model.generate([prompt], max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, **options)[0]
            seconds = time.perf_counter() - start
        return seconds, [token["token"] for token in row["tokens"]]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    dtype = torch.float32 if system.endswith("fp32") else torch.bfloat16
    library_model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=dtype).eval()
    inputs = tokenizer(prompt, return_tensors="pt")
    for _ in range(2):
        start = time.perf_counter()
        with torch.inference_mode():
            ids = library_model.generate(**inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS,
                                         do_sample=False)
        seconds = time.perf_counter() - start
    return seconds, tokenizer.convert_ids_to_tokens(ids[0, inputs["input_ids"].shape[1]:].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--prompt", choices=PROMPTS, help=argparse.SUPPRESS)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        seconds, tokens = write(args.system, args.model, PROMPTS[args.prompt])
        print(json.dumps({"amount": len(tokens), "seconds": seconds, "tokens_hash": hash_of(tokens)}))
        return
    for name in PROMPTS:
        print(f"\n{name}")
        measured = measure_in_turns(__file__, SYSTEMS, ["--model", args.model, "--prompt", name], args.times)
        for system in SYSTEMS:
            same = measured[system][0]["tokens_hash"] == measured["headstart"][0]["tokens_hash"]
            print(f"  {system:<20} {rate(measured[system]):6.1f} tokens/s, headstart is "
                  f"{rate(measured['headstart']) / rate(measured[system]):.2f} times as fast; "
                  f"{'the same' if same else 'other'} tokens as headstart")
        record(f"writing-{name}", f"Writing {NEW_TOKENS} tokens after one prompt ({name})", "tokens/s", measured)


def hash_of(tokens: list[Any]) -> int:
    """A number that is the same for the same tokens."""
    import zlib

    return zlib.crc32(json.dumps(tokens).encode())


if __name__ == "__main__":
    main()
