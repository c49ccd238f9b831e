"""What a text can be steered towards: the words of a bag, or a label of a small head on the model's own states.

C labels, M texts, T tokens, W width.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError, nearest
from headstart.models.loading.weights import checksum

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.models.model import Model

BAGS = Path(__file__).parent / "bags"
HELD_OUT = 5  # each so many-th text tells how good a head is
TOKENS = 2048  # that go through the model at once


@dataclass(frozen=True)
class Bag:
    """Words, and the ids of those that are one token of the model."""

    name: str
    words: tuple[str, ...]
    ids: tuple[int, ...]

    def marks(self, text: str) -> list[dict[str, Any]]:
        """Where its words stand in a text."""
        pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, self.words))})\b", re.IGNORECASE)
        return [{"start": found.start(), "end": found.end(), "by": self.name} for found in pattern.finditer(text)]


@dataclass(frozen=True)
class AttributeHead:
    """A linear layer on the mean state of a text, and the label that is wanted."""

    name: str
    label: str
    labels: tuple[str, ...]
    weight: Tensor  # (C, W)
    bias: Tensor  # (C,)

    @property
    def wanted(self) -> int:
        """The class of the label."""
        return self.labels.index(self.label)

    def logits(self, means: Tensor) -> Tensor:
        """(M, W) -> (M, C)."""
        return means @ self.weight.T + self.bias


def bag_names() -> list[str]:
    """The bags that come with headstart."""
    return sorted(path.stem for path in BAGS.glob("*.txt"))


def read(model: Model, asked: Sequence[str]) -> list[Bag | AttributeHead]:
    """What was asked for: a bag's name, a file of words, or FOLDER=LABEL of a head; raises UserError (2, 66)."""
    found = [one_of(model, word.strip()) for word in asked if word.strip()]
    if not found:
        raise UserError("Nothing to steer towards was named.", fix=f"Bags of headstart: {', '.join(bag_names())}.")
    return found


def one_of(model: Model, word: str) -> Bag | AttributeHead:
    """One bag or head."""
    folder, _, label = word.rpartition("=")
    if folder or Path(word).is_dir():
        return read_head(model, Path(folder or word), label if folder else "")
    place = BAGS / f"{word}.txt" if word in bag_names() else Path(word)
    try:
        words = tuple(dict.fromkeys(line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip()))
    except FileNotFoundError:
        near = nearest(word, bag_names())
        raise UserError(f"{word!r} is no bag of words of headstart, and no file.",
                        fix=(f"Did you mean {near}? " if near else "") + f"There are {', '.join(bag_names())}; a file has a word on a "
                        "line; FOLDER=LABEL is an attribute head.", exit=Exit.NO_INPUT) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{word} is no text file: {error}.", fix="Give a file with a word on each line.", exit=Exit.NO_INPUT) from None
    return bag(model, place.stem, words)


def bag(model: Model, name: str, words: Sequence[str]) -> Bag:
    """Words as a bag; those of several tokens cannot be asked for. Raises UserError (65) where none is left."""
    ids: dict[int, None] = {}
    for word in words:
        for form in (word, f" {word}", word.capitalize(), f" {word.capitalize()}"):
            found = model.tokenizer.tokenize(form).ids
            if len(found) == 1:
                ids[found[0]] = None
    if not ids:
        raise UserError(f"No word of {name} is a single token of {model.facts.reference}.", fix="Give more common words.", exit=Exit.DATA)
    return Bag(name, tuple(words), tuple(ids))


def read_head(model: Model, folder: Path, label: str) -> AttributeHead:
    """A head from its folder; raises UserError (66, 69, 2), also for one that was trained on another model."""
    from safetensors.torch import load_file

    try:
        held = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        labels, weights = tuple(held["labels"]), load_file(folder / "head.safetensors")
        weight, bias = weights["weight"], weights["bias"]
    except FileNotFoundError:
        raise UserError(f"{folder} holds no attribute head.", fix=f"Train one: headstart steering MODEL texts.csv --to {folder}",
                        exit=Exit.NO_INPUT) from None
    except Exception as error:  # damaged files raise many kinds
        raise UserError(f"The attribute head in {folder} is damaged: {error}.", fix="Train it again.", exit=Exit.UNAVAILABLE) from None
    if held.get("model_checksum") != checksum(model.module.parameters()):
        raise UserError(f"The attribute head in {folder} was trained on another model ({held.get('model')}); it cannot steer "
                        f"{model.facts.reference}.", fix="Train one on this model: headstart steering MODEL texts.csv --to FOLDER")
    if label not in labels:
        raise UserError(f"The attribute head in {folder} has no label {label!r}.",
                        fix=f"Write {folder}=LABEL with one of: {', '.join(labels)}.")
    return AttributeHead(folder.name, label, labels, weight.to(model.device), bias.to(model.device))


def mean_states(model: Model, texts: Sequence[Sequence[int]]) -> Tensor:
    """The mean state of each text's tokens, in order: (M, W). Worked out once; a head trains on these."""
    import torch

    found: dict[int, Tensor] = {}
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    model.module.eval()
    while order:
        part: list[int] = []
        tokens = 0
        while order and (not part or tokens + len(texts[order[-1]]) <= TOKENS):
            part.append(order.pop())
            tokens += len(texts[part[-1]])
        batch = collate([Feature(list(texts[place]), [0] * len(texts[place]), {}) for place in part], model.layout(packed=model.can_pack))
        with torch.inference_mode():
            found |= dict(zip(part, model.pooled(batch), strict=True))
    return torch.stack([found[place] for place in range(len(texts))]).clone()


def train(model: Model, rows: Sequence[tuple[str, str]], folder: Path, hear: Callable[[str], None]) -> dict[str, Any]:
    """Fit a head on labelled texts and save it: {"labels", "accuracy", …}. Raises UserError (65, 73)."""
    import torch
    from safetensors.torch import save_file

    labels = sorted({label for _, label in rows})
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty.", fix="Choose another folder with --to.", exit=Exit.EXISTS)
    if len(labels) < 2:
        raise UserError("An attribute head needs texts of two labels or more.",
                        fix="Give texts with and without the attribute.", exit=Exit.DATA)
    ids = [list(model.tokenizer.tokenize(text).ids)[:model.tokenizer.longest] for text, _ in rows]
    kept = [place for place, held in enumerate(ids) if held]
    hear(f"states of {len(kept):,} texts")
    states = mean_states(model, [ids[place] for place in kept])
    gold = torch.tensor([labels.index(rows[place][1]) for place in kept], device=states.device)
    test = torch.arange(len(kept), device=states.device) % HELD_OUT == HELD_OUT - 1
    tried = fit(states[~test], gold[~test], len(labels))
    right = (states[test] @ tried[0].T + tried[1]).argmax(1) == gold[test] if bool(test.any()) else None
    weight, bias = fit(states, gold, len(labels))
    facts = {"labels": labels, "model": model.facts.reference, "family": model.facts.family,
             "model_checksum": checksum(model.module.parameters()), "width": states.shape[1], "texts": len(kept),
             "empty_texts": len(rows) - len(kept), "held_out": int(test.sum()),
             "accuracy": None if right is None else round(float(right.float().mean()), 6),
             "majority": round(float(torch.bincount(gold).max() / len(gold)), 6)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": weight.cpu().contiguous(), "bias": bias.cpu().contiguous()}, folder / "head.safetensors")
    (folder / "head.json").write_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return facts


def fit(states: Tensor, gold: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Softmax regression on states of mean 0 and spread 1, folded back: weight (C, W), bias (C,)."""
    import torch

    mean, spread = states.mean(0), states.std(0, correction=0) + 1e-6
    inputs = (states - mean) / spread
    weight = torch.zeros(classes, states.shape[1], device=states.device, requires_grad=True)
    bias = torch.zeros(classes, device=states.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(inputs @ weight.T + bias, gold) + 0.01 * weight.square().sum()
        torch.autograd.backward(value)
        return float(value.detach())

    step: Any = optimizer.step
    step(loss)
    folded = weight.detach() / spread
    return folded, bias.detach() - folded @ mean
