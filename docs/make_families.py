"""Writes docs/families.md from the catalogue itself: python docs/make_families.py"""

from pathlib import Path

from headstart.models.family import Family
from headstart.models.loading.catalogue import CATALOGUE

HEADS = ("sequence-classification", "token-classification", "question-answering", "multiple-choice",
         "masked-language-model", "next-sentence", "pre-training", "causal-language-model", "sequence-to-sequence")
INTRODUCTION = """# The families

Made by `docs/make_families.py` from the catalogue (`headstart/models/families/`, a file a family); the tests hold it to be current, and run
every head of every family that stands here: one by one = batched = packed = saved and loaded again = plain transformers, to 1e-5.
`headstart models` prints the same.

Any folder or hub name of these families works, not only the checkpoints that are named. `--model FOLDER`, `--model HUB/NAME`,
`--model pip:PACKAGE`. The short names of 2020 go to their present homes, in the offline cache too.
"""
SHORT = {"sequence-classification": "texts", "token-classification": "tags", "question-answering": "answers",
         "multiple-choice": "choices",
         "masked-language-model": "masked tokens", "next-sentence": "next sentence", "pre-training": "pre-training",
         "causal-language-model": "language model", "sequence-to-sequence": "text to text"}


def cell(family: Family, head: str, notes: list[str]) -> str:
    """A tick, or the number of the reason."""
    if head in family.heads and family.heads[head].outputs:
        return "yes"
    reason = family.missing_heads.get(head) or ("it cannot be trained or run here yet" if head in family.heads
                                                else missing_head_reason(family))
    if reason not in notes:
        notes.append(reason)
    return f"– {notes.index(reason) + 1}"


def missing_head_reason(family: Family) -> str:
    """Why a head of another kind of model is not there."""
    return {"encoder": "an encoder sees both sides of every token; it does not generate",
            "decoder": "a decoder sees only the tokens before; it continues a text"}.get(
        family.kinds[0], "an encoder-decoder turns one text into another")


def page() -> str:
    """The whole page."""
    notes: list[str] = []
    table = [f"| family | kind | {' | '.join(SHORT[head] for head in HEADS)} | batches |",
             f"|{'---|' * (len(HEADS) + 3)}"]
    table += [f"| [{family.name}](#{family.name}) | {', '.join(family.kinds)} | "
              f"{' | '.join(cell(family, head, notes) for head in HEADS)} | "
              f"{'packed' if family.packs or family.packed_forward else 'padded'} |" for family in CATALOGUE]
    lines = [INTRODUCTION, *table, "", *[f"{number}. {reason}" for number, reason in enumerate(notes, 1)]]
    for family in CATALOGUE:
        lines += ["", f"## {family.name}", ""]
        lines += [f"{family.note}\n"] if family.note else []
        lines += ["| checkpoint | parameters | licence | needs |", "|---|---|---|---|"]
        lines += [f"| `{checkpoint.name}` | {checkpoint.parameters} | {checkpoint.terms} | "
                  f"{'`--allow-pickle`' if checkpoint.pickled else ''} |"
                  for checkpoint in family.checkpoints]
        if family.aliases:
            lines += ["", "Short names: " + ", ".join(f"`{alias}` is `{name}`"
                                                      for alias, name in family.aliases.items()) + "."]
    lines += ["", "Licences are those that the checkpoints' pages named when last looked at (not stated: the page "
              "names none; unverified: from memory, the page was not seen); check them before you publish. "
              "`--allow-pickle` stands where a checkpoint "
              "held its weights only in the old form (`pytorch_model.bin`) when last looked at; headstart refuses such "
              "a folder with exit code 77 until `--allow-pickle` is given, and then reads numbers alone.", ""]
    return "\n".join(lines)


def main() -> None:
    Path(__file__).with_name("families.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
