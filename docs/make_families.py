"""Writes docs/families.md from the catalogue itself: python docs/make_families.py"""

from pathlib import Path

from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.family import Family

HEADS = ("sequence-classification", "token-classification", "question-answering", "multiple-choice", "masked-language-model",
         "next-sentence", "pre-training", "causal-language-model", "sequence-to-sequence")
INTRODUCTION = """# The families

Made by `docs/make_families.py` from the catalogue (`headstart/models/families/`, a file a family); the tests hold it to be current, and run
every head of every family that stands here: one by one = batched = packed = saved and loaded again = plain transformers, to 1e-5.
`headstart models` prints the same.

Any folder or hub name of these families works, not only the checkpoints that are named. `--model FOLDER`, `--model HUB/NAME`,
`--model pip:PACKAGE`. The short names of 2020 go to their present homes, in the offline cache too.
"""
SHORT = {"sequence-classification": "texts", "token-classification": "tags", "question-answering": "answers", "multiple-choice": "choices",
         "masked-language-model": "hidden words", "next-sentence": "next sentence", "pre-training": "pre-training",
         "causal-language-model": "writes on", "sequence-to-sequence": "text to text"}


def cell(row: Family, head: str, notes: list[str]) -> str:
    """A tick, or the number of the reason."""
    if head in row.heads and row.heads[head].outputs:
        return "yes"
    reason = row.lacks.get(head) or ("it cannot be trained or run here yet" if head in row.heads else elsewhere(row))
    if reason not in notes:
        notes.append(reason)
    return f"– {notes.index(reason) + 1}"


def elsewhere(row: Family) -> str:
    """Why a head of another kind of model is not there."""
    return {"encoder": "an encoder sees both sides of every token; it does not write",
            "decoder": "a decoder sees only what stands before; it goes on with a text"}.get(row.kinds[0], "it writes a text for a text")


def page() -> str:
    """The whole page."""
    notes: list[str] = []
    table = [f"| family | kind | {' | '.join(SHORT[head] for head in HEADS)} | batches |", f"|{'---|' * (len(HEADS) + 3)}"]
    table += [f"| [{row.family}](#{row.family}) | {', '.join(row.kinds)} | {' | '.join(cell(row, head, notes) for head in HEADS)} | "
              f"{'packed' if row.packs or row.packed_pairs else 'padded'} |" for row in CATALOGUE]
    lines = [INTRODUCTION, *table, "", *[f"{number}. {reason}" for number, reason in enumerate(notes, 1)]]
    for row in CATALOGUE:
        lines += ["", f"## {row.family}", ""]
        lines += [f"{row.note}\n"] if row.note else []
        lines += ["| checkpoint | parameters | licence | needs |", "|---|---|---|---|"]
        lines += [f"| `{one.name}` | {one.parameters} | {one.terms} | {'`--allow-pickle`' if one.pickled else ''} |"
                  for one in row.checkpoints]
        if row.aliases:
            lines += ["", "Short names: " + ", ".join(f"`{old}` is `{new}`" for old, new in row.aliases.items()) + "."]
    lines += ["", "Licences are those that the checkpoints' pages named when last looked at (not stated: the page names none; unverified: from memory, the page was not seen); check them before you publish. `--allow-pickle` stands where a checkpoint "
              "held its weights only in the old form (`pytorch_model.bin`) when last looked at; headstart refuses such a folder with exit code 77 until `--allow-pickle` is given, and then reads numbers alone.", ""]
    return "\n".join(lines)


def main() -> None:
    Path(__file__).with_name("families.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
