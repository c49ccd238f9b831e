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
TEST_INTERVAL = 5  # every fifth text is a test text of a head
BATCH_TOKENS = 2048  # that go through the model at once


@dataclass(frozen=True)
class BagOfWords:
    """Words, and the ids of those that are one token of the model."""

    name: str
    words: tuple[str, ...]
    ids: tuple[int, ...]

    def matches(self, text: str) -> list[dict[str, Any]]:
        """The positions of its words in a text."""
        pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, self.words))})\b", re.IGNORECASE)
        return [{"start": match.start(), "end": match.end(), "by": self.name} for match in pattern.finditer(text)]


@dataclass(frozen=True)
class AttributeHead:
    """A linear layer on the mean state of a text, and the label to steer towards."""

    name: str
    label: str
    labels: tuple[str, ...]
    weight: Tensor  # (C, W)
    bias: Tensor  # (C,)

    @property
    def label_index(self) -> int:
        """The class of the label."""
        return self.labels.index(self.label)

    def logits(self, means: Tensor) -> Tensor:
        """(M, W) -> (M, C)."""
        return means @ self.weight.T + self.bias


def bag_names() -> list[str]:
    """The bags that come with headstart."""
    return sorted(path.stem for path in BAGS.glob("*.txt"))


def load_attributes(model: Model, names: Sequence[str]) -> list[BagOfWords | AttributeHead]:
    """The attributes by name: a bag's name, a file of words, or FOLDER=LABEL of a head; raises UserError (2, 66)."""
    attributes = [load_attribute(model, name.strip()) for name in names if name.strip()]
    if not attributes:
        raise UserError("No attribute to steer towards was named.", fix=f"Bags of headstart: {', '.join(bag_names())}.")
    return attributes


def load_attribute(model: Model, name: str) -> BagOfWords | AttributeHead:
    """One bag or head."""
    folder, _, label = name.rpartition("=")
    if folder or Path(name).is_dir():
        return load_head(model, Path(folder or name), label if folder else "")
    path = BAGS / f"{name}.txt" if name in bag_names() else Path(name)
    try:
        words = tuple(dict.fromkeys(line.strip() for line in path.read_text(encoding="utf-8").splitlines()
                                    if line.strip()))
    except FileNotFoundError:
        suggestion = nearest(name, bag_names())
        raise UserError(f"{name!r} is neither a bag of words of headstart nor a file.",
                        fix=(f"Did you mean {suggestion}? " if suggestion else "")
                        + f"There are {', '.join(bag_names())}; a file has "
                        "one word per line; FOLDER=LABEL is an attribute head.", exit=Exit.NO_INPUT) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} is not a text file: {error}.", fix="Give a file with one word per line.",
                        exit=Exit.NO_INPUT) from None
    return bag_of_words(model, path.stem, words)


def bag_of_words(model: Model, name: str, words: Sequence[str]) -> BagOfWords:
    """Words as a bag; those of several tokens have no part in steering. Raises UserError (65) where none is left."""
    ids: dict[int, None] = {}
    for word in words:
        for variant in (word, f" {word}", word.capitalize(), f" {word.capitalize()}"):
            token_ids = model.tokenizer.tokenize(variant).ids
            if len(token_ids) == 1:
                ids[token_ids[0]] = None
    if not ids:
        raise UserError(f"No word of {name} is a single token of {model.info.reference}.",
                        fix="Give more common words.", exit=Exit.DATA)
    return BagOfWords(name, tuple(words), tuple(ids))


def load_head(model: Model, folder: Path, label: str) -> AttributeHead:
    """A head from its folder; raises UserError (66, 69, 2), also for one that was trained on another model."""
    from safetensors.torch import load_file

    try:
        description = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        labels, weights = tuple(description["labels"]), load_file(folder / "head.safetensors")
        weight, bias = weights["weight"], weights["bias"]
    except FileNotFoundError:
        raise UserError(f"{folder} holds no attribute head.",
                        fix=f"Train one: headstart steering-head MODEL texts.csv --to {folder}",
                        exit=Exit.NO_INPUT) from None
    except Exception as error:  # damaged files raise many kinds
        raise UserError(f"The attribute head in {folder} is damaged: {error}.", fix="Train it again.",
                        exit=Exit.UNAVAILABLE) from None
    if description.get("model_checksum") != checksum(model.module.parameters()):
        raise UserError(f"The attribute head in {folder} was trained on another model ({description.get('model')}); it "
                        "cannot steer "
                        f"{model.info.reference}.", fix="Train one on this model: headstart steering-head MODEL "
                                                        "texts.csv --to FOLDER")
    if label not in labels:
        raise UserError(f"The attribute head in {folder} has no label {label!r}.",
                        fix=f"Write {folder}=LABEL with one of: {', '.join(labels)}.")
    return AttributeHead(folder.name, label, labels, weight.to(model.device), bias.to(model.device))


def mean_states(model: Model, texts: Sequence[Sequence[int]]) -> Tensor:
    """The mean state of each text's tokens, in order: (M, W). Worked out once; a head trains on these."""
    import torch

    means: dict[int, Tensor] = {}
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    model.module.eval()
    while order:
        indices: list[int] = []
        token_count = 0
        while order and (not indices or token_count + len(texts[order[-1]]) <= BATCH_TOKENS):
            indices.append(order.pop())
            token_count += len(texts[indices[-1]])
        features = [Feature(list(texts[index]), [0] * len(texts[index]), {}) for index in indices]
        batch = collate(features, model.layout(packed=model.can_pack))
        with torch.inference_mode():
            means |= dict(zip(indices, model.pooled(batch), strict=True))
    return torch.stack([means[index] for index in range(len(texts))]).clone()


def train_head(model: Model, rows: Sequence[tuple[str, str]], folder: Path,
               on_message: Callable[[str], None]) -> dict[str, Any]:
    """Fit a head on labelled texts and save it: {"labels", "accuracy", …}. Raises UserError (65, 73)."""
    import torch
    from safetensors.torch import save_file

    labels = sorted({label for _, label in rows})
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty.", fix="Choose another folder with --to.", exit=Exit.EXISTS)
    if len(labels) < 2:
        raise UserError("An attribute head needs texts of two labels or more.",
                        fix="Give texts with and without the attribute.", exit=Exit.DATA)
    ids = [list(model.tokenizer.tokenize(text).ids)[:model.tokenizer.max_length] for text, _ in rows]
    nonempty = [index for index, token_ids in enumerate(ids) if token_ids]
    on_message(f"states of {len(nonempty):,} texts")
    states = mean_states(model, [ids[index] for index in nonempty])
    gold = torch.tensor([labels.index(rows[index][1]) for index in nonempty], device=states.device)
    is_test = torch.arange(len(nonempty), device=states.device) % TEST_INTERVAL == TEST_INTERVAL - 1
    test_head = fit(states[~is_test], gold[~is_test], len(labels))
    is_correct = (states[is_test] @ test_head[0].T
                  + test_head[1]).argmax(1) == gold[is_test] if bool(is_test.any()) else None
    weight, bias = fit(states, gold, len(labels))
    description = {"labels": labels, "model": model.info.reference, "family": model.info.family_name,
                   "model_checksum": checksum(model.module.parameters()), "width": states.shape[1],
                   "texts": len(nonempty), "empty_texts": len(rows) - len(nonempty), "held_out": int(is_test.sum()),
                   "accuracy": None if is_correct is None else round(float(is_correct.float().mean()), 6),
                   "majority": round(float(torch.bincount(gold).max() / len(gold)), 6)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": weight.cpu().contiguous(), "bias": bias.cpu().contiguous()}, folder / "head.safetensors")
    (folder / "head.json").write_text(json.dumps(description, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return description


def fit(states: Tensor, gold: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Softmax regression on states of mean 0 and spread 1, folded back: weight (C, W), bias (C,)."""
    import torch

    center, spread = states.mean(0), states.std(0, correction=0) + 1e-6
    inputs = (states - center) / spread
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
    folded_weight = weight.detach() / spread
    return folded_weight, bias.detach() - folded_weight @ center
