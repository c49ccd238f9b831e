"""What a prediction rests on: how much each word speaks for a label or against it.

Shapes: T tokens, W width of an embedding, K points of a path, C labels.

Integrated gradients (Sundararajan et al. 2017), gradient x input, and occlusion, on the input embeddings. The baseline is
the same input with every token of the user's replaced by the padding token (or the mask); special tokens, positions
and segments stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headstart.contract import Feature, Layout
from headstart.data.features.batches import collate
from headstart.errors import UserError, nearest
from headstart.inspection.encode import Encoded, Word, encode, words

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.contract import Json
    from headstart.models.model import Model

CLASSIFIER = "sequence-classification"
FIRST_STEPS, MOST_STEPS = 32, 512  # points of the path; doubled until the error is small
CLOSE = 0.01  # an error of completeness that is small: this share of what is to be explained
AT_ONCE = 512  # tokens that go through the model together: 0.7 GB of what gradients need in a base-size model

Method = Literal["integrated-gradients", "gradient-x-input", "occlusion"]
Baseline = Literal["pad", "mask"]
Index = int | Sequence[tuple[int, int]]  # a column of a feature's output, or tokens with a column each, added
METHODS: tuple[Method, ...] = ("integrated-gradients", "gradient-x-input", "occlusion")
BASELINES: tuple[Baseline, ...] = ("pad", "mask")


@dataclass(frozen=True)
class Attribution:
    """Scores of tokens (T,) and words for one label: positive ones speak for it, in units of its logit.

    `value` is the label's logit on the text, `base` on the baseline; integrated gradients should add up to their
    difference (completeness, proposition 1 of the paper), and `error` is how much they miss it by. `steps` is 0 for
    methods without a path.
    """

    encoded: Encoded
    label: str
    predicted: str
    probability: float | None
    method: Method
    baseline: Baseline
    token_scores: NDArray[Any]
    words: tuple[tuple[Word, float], ...]
    value: float
    base: float
    steps: int

    @property
    def error(self) -> float:
        """What the scores add up to, minus the logit's difference from the baseline."""
        return float(self.token_scores.sum()) - (self.value - self.base)

    def sentence(self) -> str:
        """What is explained, in one sentence."""
        sure = "" if self.probability is None else f" ({100 * self.probability:.0f} % sure)"
        other = "" if self.label == self.predicted else f" The words are scored for {self.label!r}."
        return f"The model says {self.predicted!r}{sure}.{other}"

    def accuracy(self) -> str:
        """The method and how far it adds up, in a sentence or two."""
        told = f"{self.method} from a text of {self.baseline} tokens"
        ends = f"the logit of {self.label!r} is {self.value:.4f}, on the baseline {self.base:.4f}"
        if self.method != "integrated-gradients":
            return f"{told}; {ends}. These scores need not add up to the difference."
        return f"{told}, {self.steps} steps; {ends}; the scores miss the difference by {self.error:+.4f}."

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        scored = [{"word": word.text, "of": word.part, "begin": word.begin, "end": word.end, "score": score} for word, score in self.words]
        return {"label": self.label, "predicted": self.predicted, "probability": self.probability, "method": self.method,
                "baseline": self.baseline, "value": self.value, "base": self.base, "error": self.error, "steps": self.steps,
                "token_scores": [float(score) for score in self.token_scores], "words": scored}


def attribute(model: Model, text: str, pair: str | None = None, *, method: str = "integrated-gradients", target: str | None = None,
              baseline: str | None = None, steps: int | None = None) -> Attribution:
    """How much each word speaks for a label (`target`, or the one predicted) of a model that labels texts.

    `baseline` is "pad" or "mask" (occlusion: mask unless given, else pad); without `steps` the path is refined until
    its error is below 1 % of what is explained. Raises UserError.
    """
    method_, baseline_ = checked(model, method, baseline)
    encoded = encode(model, text, pair)
    labels = labels_of(model)
    scorer = Scorer(model, encoded, baseline_)
    logits = scorer.logits([list(encoded.feature.ids)])[0]
    index = label_index(labels, logits, target)
    base = float(scorer.logits([scorer.plain])[0][index])
    value = float(logits[index])
    taken = 0
    if method_ == "occlusion":
        scores = occlusion(scorer, encoded, index, value)
    elif method_ == "gradient-x-input":
        scores = (scorer.gradients([1.0], index)[0] * scorer.inputs).sum(dim=-1).double().cpu().numpy()
    else:
        scores, taken = integrated(scorer, index, value - base, steps)
    held = tuple((word, float(sum(scores[place] for place in word.places))) for word in words(encoded))
    predicted, sure = said(model, labels, logits)
    return Attribution(encoded, labels[index], predicted, sure, method_, baseline_, scores, held, value, base, taken)


def checked(model: Model, method: str, baseline: str | None) -> tuple[Method, Baseline]:
    """The method and the baseline by their names; raises UserError for a model or a name that will not do."""
    if model.kind != "encoder":
        raise UserError(f"Attribution is for encoders, but {model.facts.reference} ({model.facts.family}) is a {model.kind}.",
                        fix="Choose an encoder; headstart inspect shows states and attentions of every family.")
    if model.head != CLASSIFIER or model.drawn:
        raise UserError(f"Attribution explains models that label texts, but {model.facts.reference} has no such trained head.",
                        fix=f"Train one first: headstart finetune FILE --model {model.facts.reference}")
    chosen = next((name for name in METHODS if name == method), None)
    if chosen is None:
        near = nearest(method, METHODS)
        raise UserError(f"There is no attribution method {method!r}; there are {', '.join(METHODS)}.",
                        fix=f"Did you mean {near}?" if near else "Choose one of them.")
    masks = model.tokenizer.mask_id is not None
    wanted = baseline or ("mask" if chosen == "occlusion" and masks else "pad")
    found = next((name for name in BASELINES if name == wanted), None)
    if found is None or (found == "mask" and not masks):
        why = "; this tokenizer has no mask" if found else ""
        raise UserError(f"The baseline is pad or mask, but it is {wanted!r}{why}.", fix="Use pad.")
    return chosen, found


def labels_of(model: Model) -> list[str]:
    """The names of the model's outputs."""
    names = model.module.config.id2label
    return [str(names[number]) for number in range(len(names))]


def label_index(labels: Sequence[str], logits: NDArray[Any], target: str | None) -> int:
    """The output to explain; raises UserError for a label that the model does not have."""
    if target is None:
        return int(logits.argmax())
    if target not in labels:
        near = nearest(target, labels)
        listed = ", ".join(labels[:12]) + (" …" if len(labels) > 12 else "")
        raise UserError(f"The model has no label {target!r}; it has {listed}.",
                        fix=f"Did you mean {near}?" if near else "Choose one of them.")
    return labels.index(target)


def said(model: Model, labels: Sequence[str], logits: NDArray[Any]) -> tuple[str, float | None]:
    """The predicted label with its probability; of a model that gives numbers, the number."""
    import numpy as np

    kind = model.module.config.problem_type
    if kind == "regression" or len(labels) == 1:
        return f"{float(logits[0]):.4f}", None
    best = int(logits.argmax())
    if kind == "multi_label_classification":
        return labels[best], float(1 / (1 + np.exp(-logits[best])))
    grown = np.exp(logits - logits.max())
    return labels[best], float(grown[best] / grown.sum())


class Scorer:
    """Logits and gradients of one input, of points between it and its baseline, and of its variants."""

    def __init__(self, model: Model, encoded: Encoded, baseline: Baseline) -> None:
        import torch

        self.model, self.encoded = model, encoded
        filler = model.tokenizer.pad_id if baseline == "pad" else model.tokenizer.mask_id
        assert filler is not None
        self.filler: int = filler
        self.plain = [token.id if token.special else self.filler for token in encoded.tokens]
        self.size = len(encoded.tokens)
        model.module.eval()
        table = model.module.get_input_embeddings()
        with torch.no_grad():
            ids = torch.tensor([list(encoded.feature.ids), self.plain], device=model.device)
            self.inputs, self.origin = table(ids).float()  # (T, W) each
        self.change = self.inputs - self.origin

    def logits(self, variants: Sequence[Sequence[int]]) -> NDArray[Any]:
        """The model's outputs for other ids in the same form, (K, C)."""
        import numpy as np
        import torch

        found = []
        for begin in range(0, len(variants), self.room):
            with torch.inference_mode():
                found.append(self.model.forward(self.batch(variants[begin:begin + self.room]))["logits"].double().cpu().numpy())
        return np.concatenate(found)

    def value(self, ids: Sequence[int], index: Index) -> float:
        """One output for one row of ids."""
        import torch

        with torch.inference_mode():
            return float(chosen(self.model.forward(self.batch([ids]))["logits"].double(), index, 1)[0])

    def gradients(self, shares: Sequence[float], index: Index) -> Tensor:
        """The gradient of one output at each point of the straight path, by the embeddings: (K, T, W)."""
        import torch

        found = []
        for begin in range(0, len(shares), self.room):
            part = torch.tensor(shares[begin:begin + self.room], dtype=self.inputs.dtype, device=self.inputs.device)
            points = (self.origin + part[:, None, None] * self.change).requires_grad_()
            with torch.enable_grad(), replaced(self.model.module, points):
                logits = self.model.forward(self.batch([list(self.encoded.feature.ids)] * len(part)))["logits"]
                (made,) = torch.autograd.grad(chosen(logits, index, len(part)).sum(), points)
            found.append(made)
        return torch.cat(found)

    def batch(self, variants: Sequence[Sequence[int]]) -> Any:
        """Variants of the input, one a row: all are equally long."""
        segments = self.encoded.feature.types
        layout = Layout(packed=False, pad_id=self.model.tokenizer.pad_id)
        return collate([Feature(list(ids), segments) for ids in variants], layout)

    @property
    def room(self) -> int:
        """How many variants go through the model together."""
        return max(1, AT_ONCE // self.size)


@contextlib.contextmanager
def replaced(module: Any, points: Tensor) -> Iterator[None]:
    """For a while the embedding of tokens gives these numbers (K, T, W), whatever ids come in."""
    def instead(_: Any, __: Any, output: Tensor) -> Tensor:
        """On the way out of the embedding table."""
        assert points.shape == output.shape
        return points

    hook = module.get_input_embeddings().register_forward_hook(instead)
    try:
        yield
    finally:
        hook.remove()


def chosen(outputs: Tensor, index: Index, count: int) -> Tensor:
    """The output that is explained, for each of `count` variants: a column, or a sum of tokens' columns."""
    if isinstance(index, int):
        return outputs[:, index]
    table = outputs.reshape(count, -1, outputs.shape[-1])
    return sum((table[:, place, column] for place, column in index[1:]), table[:, index[0][0], index[0][1]])


def integrated(scorer: Scorer, index: Index, difference: float, steps: int | None) -> tuple[NDArray[Any], int]:
    """Equation 1 of the paper by Gauss and Legendre's rule, (T,), and how many points it took."""
    import numpy as np
    import torch

    count = steps if steps is not None else FIRST_STEPS
    while True:
        places, weights = np.polynomial.legendre.leggauss(count)
        total = torch.zeros_like(scorer.inputs, dtype=torch.float64)
        shares = ((1 + places) / 2).tolist()
        for begin in range(0, count, scorer.room):
            made = scorer.gradients(shares[begin:begin + scorer.room], index).double()
            part = torch.from_numpy(weights[begin:begin + scorer.room] / 2).to(made.device)
            total += (made * part[:, None, None]).sum(dim=0)
        scores: NDArray[Any] = (total * scorer.change.double()).sum(dim=-1).cpu().numpy()
        if steps is not None or count >= MOST_STEPS or abs(scores.sum() - difference) <= CLOSE * abs(difference):
            return scores, count
        count *= 2


def occlusion(scorer: Scorer, encoded: Encoded, index: int, value: float) -> NDArray[Any]:
    """How much the logit falls when a word is hidden, shared evenly among its tokens, (T,)."""
    import numpy as np

    known = words(encoded)
    ids = list(encoded.feature.ids)
    variants = [[scorer.filler if place in word.places else token for place, token in enumerate(ids)] for word in known]
    scores = np.zeros(scorer.size)
    for word, logits in zip(known, scorer.logits(variants), strict=True):
        scores[list(word.places)] = (value - float(logits[index])) / len(word.places)
    return scores
