"""Six steps on any family: pick a model, load it, encode a text, see its last hidden states, choose a head, see
everything inside.

    python examples/six_steps.py                                   (the ten names of 2020; each is fetched once)
    python examples/six_steps.py --model FOLDER_OR_NAME --text "Here is some text to encode"

A name that is neither in the cache nor to be had over the network is named and skipped; then the exit code is 1.
"""

import argparse
import sys

import headstart
from headstart.artifacts.artifact import model_folder
from headstart.contract import Feature, HeadSpec, Layout
from headstart.data.features.batches import collate
from headstart.models.loading.catalogue import find
from headstart.models.loading.load import load
from headstart.models.loading.model_info import model_info
from headstart.prediction.probe_file import load_for_inspection

CHECKPOINTS = ("bert-base-uncased", "openai-gpt", "gpt2", "ctrl", "transfo-xl-wt103", "xlnet-base-cased",
               "xlm-mlm-enfr-1024", "distilbert-base-cased", "roberta-base", "xlm-roberta-base")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="a folder, a hub name or pip:PACKAGE; may be given often")
    parser.add_argument("--text", default="Here is some text to encode")
    parser.add_argument("--allow-pickle", action="store_true",
                        help="read weights of the old form (only numbers are read)")
    args = parser.parse_args()
    missing = 0
    for name in args.model or CHECKPOINTS:
        try:
            walk(name, args.text, allow_pickle=args.allow_pickle)
        except headstart.UserError as error:
            missing += 1
            print(f"{name}: skipped. {error}", file=sys.stderr)
    return int(missing > 0)


def walk(name: str, text: str, *, allow_pickle: bool) -> None:
    # 1. Pick a model: what is known of it before any weight is read.
    info = model_info(model_folder(name), allow_pickle=allow_pickle)
    print(f"\n1 pick     {name}: {info.family_name}, {info.layers} layers of width {info.width}")

    # 2. Load it.
    model, _ = load_for_inspection(name, device="cpu", allow_pickle=allow_pickle)
    print(f"2 load     {sum(weight.numel() for weight in model.module.base_model.parameters()):,} parameters")

    # 3. Encode a text, with the special tokens that this family puts around it.
    tokens, model_input = model.tokenizer.tokenize(text), model.tokenizer.tokenize_with_special_tokens(text)
    print(f"3 encode   {len(tokens.ids)} tokens, {len(model_input.ids)} with special ones: "
          f"{' '.join(model.tokenizer.pieces(model_input.ids))}")

    # 4. The last hidden states.
    inspection = headstart.inspect(name, text, allow_pickle=allow_pickle)
    last_states = inspection.hidden_states[-1]
    print(f"4 states   last hidden states {last_states.shape[0]} x {last_states.shape[1]} (tokens x width), mean "
          f"{last_states.mean():+.4f}")

    # 5. Choose a head: each that the family can carry. A new one is drawn from the seed; it must be trained before it
    # knows anything.
    for kind, head in find(info.family_name, name).heads.items():
        if head.outputs:
            print(f"5 head     {kind}: {head.cls}, {shapes(model_folder(name), kind, text, allow_pickle=allow_pickle)}")

    # 6. All hidden states and attentions, by name; and the pair that `model(ids)[-2:]` gave in 2020.
    print(f"6 inside   hidden states {shape(inspection.hidden_states)} (layers + 1 x tokens x width), "
          f"attentions {shape(inspection.attentions)} (layers x heads x tokens x tokens)")
    states, attentions = inspection.to_tuple()
    assert len(states) == info.layers + 1 and len(attentions) == info.layers
    # 1, or less where a family looks at an empty memory too (Transformer-XL)
    attention_sum = float(attentions[0][0, 0, -1].sum())
    weights_text = " ".join(f"{value:.2f}" for value in attentions[0][0, 0, -1][:12])
    print(f"           attention of the last token, layer 1, head 1: {weights_text} … sum {attention_sum:.2f}")


def shapes(folder: str, kind: str, text: str, *, allow_pickle: bool) -> str:
    model = load(folder, HeadSpec(kind, 2, ("no", "yes")), seed=0, allow_pickle=allow_pickle)
    ids = model.tokenizer.tokenize_with_special_tokens(text).ids
    feature = Feature(ids, [0] * len(ids), label_positions=range(len(ids)))
    batch = collate([feature], Layout(packed=model.can_pack, pad_id=model.tokenizer.pad_id))
    return ", ".join(f"{name} {shape(values)}" for name, values in model.forward(batch).items())


def shape(values: object) -> str:
    return " x ".join(map(str, values.shape))  # type: ignore[attr-defined]  # an array or a tensor


if __name__ == "__main__":
    sys.exit(main())
