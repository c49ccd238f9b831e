"""Attribution: how much each word supports a label or opposes it.

Shapes: T tokens, W width of an embedding, K points of a path, C labels.

Integrated gradients (Sundararajan et al. 2017), gradient x input, and occlusion, on the input embeddings. The baseline
is the same input with every token of the user's replaced by the padding token (or the mask); special tokens, positions
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
from headstart.inspection.encode import EncodedText, Word, encode, split_words

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.contract import Json
    from headstart.models.model import Model

CLASSIFIER = "sequence-classification"
MIN_STEPS, MAX_STEPS = 32, 512  # points of the path; doubled until the error is small
MAX_ERROR = 0.01  # of completeness, as a share of the difference that is explained
BATCH_TOKENS = 512  # tokens that go through the model together: 0.7 GB of activations in a base-size model

Method = Literal["integrated-gradients", "gradient-x-input", "occlusion"]
Baseline = Literal["pad", "mask"]
OutputIndex = int | Sequence[tuple[int, int]]  # a column of a feature's output, or tokens with a column each, added
METHODS: tuple[Method, ...] = ("integrated-gradients", "gradient-x-input", "occlusion")
BASELINES: tuple[Baseline, ...] = ("pad", "mask")


@dataclass(frozen=True)
class Attribution:
    """Scores of tokens (T,) and words for one label: positive ones support it, in units of its logit.

    `value` is the label's logit on the text, `baseline_value` on the baseline; integrated gradients should add up to
    their difference (completeness, proposition 1 of the paper), and `error` is how much they miss it by. `steps` is 0
    for
    methods without a path.

    >>> attribution = headstart.load("reviews-run").attribute("a fine day")
    >>> for word, score in attribution.words:
    ...     print(f"{score:+.3f} {word.text}")
    """

    encoded: EncodedText
    label: str
    predicted: str
    probability: float | None
    method: Method
    baseline: Baseline
    token_scores: NDArray[Any]
    words: tuple[tuple[Word, float], ...]
    value: float
    baseline_value: float
    steps: int

    @property
    def error(self) -> float:
        """What the scores add up to, minus the logit's difference from the baseline."""
        return float(self.token_scores.sum()) - (self.value - self.baseline_value)

    def sentence(self) -> str:
        """What is explained, in one sentence."""
        certainty = "" if self.probability is None else f" ({100 * self.probability:.0f} % probability)"
        target_note = "" if self.label == self.predicted else f" The words are scored for {self.label!r}."
        return f"The model predicts {self.predicted!r}{certainty}.{target_note}"

    def method_sentence(self) -> str:
        """The method and how far it adds up, in a sentence or two."""
        method = f"{self.method} with a baseline of {self.baseline} tokens"
        logits = f"the logit of {self.label!r} is {self.value:.4f}, on the baseline {self.baseline_value:.4f}"
        if self.method != "integrated-gradients":
            return f"{method}; {logits}. These scores need not add up to the difference."
        return f"{method}, {self.steps} steps; {logits}; the scores miss the difference by {self.error:+.4f}."

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        words = [{"word": word.text, "of": word.part, "begin": word.begin, "end": word.end, "score": score}
                 for word, score in self.words]
        return {"label": self.label, "predicted": self.predicted, "probability": self.probability,
                "method": self.method,
                "baseline": self.baseline, "value": self.value, "base": self.baseline_value, "error": self.error,
                "steps": self.steps, "token_scores": [float(score) for score in self.token_scores], "words": words}


def attribute(model: Model, text: str, pair: str | None = None, *, method: str = "integrated-gradients",
              target: str | None = None, baseline: str | None = None, steps: int | None = None) -> Attribution:
    """How much each word supports a label (`target`, or the predicted one) of a classifier.

    `baseline` is "pad" or "mask" (occlusion: mask unless given, else pad); without `steps` the path is refined until
    its error is below 1 % of what is explained. Raises UserError.
    """
    method_, baseline_ = check_method(model, method, baseline)
    encoded = encode(model, text, pair)
    labels = label_names(model)
    scorer = Scorer(model, encoded, baseline_)
    logits = scorer.logits([list(encoded.feature.ids)])[0]
    index = label_index(labels, logits, target)
    baseline_value = float(scorer.logits([scorer.baseline_ids])[0][index])
    value = float(logits[index])
    steps_used = 0
    if method_ == "occlusion":
        scores = occlusion(scorer, encoded, index, value)
    elif method_ == "gradient-x-input":
        scores = (scorer.gradients([1.0], index)[0] * scorer.embeddings).sum(dim=-1).double().cpu().numpy()
    else:
        scores, steps_used = integrated_gradients(scorer, index, value - baseline_value, steps)
    words = tuple((word, float(sum(scores[token] for token in word.token_indices))) for word in split_words(encoded))
    predicted, probability = predicted_label(model, labels, logits)
    return Attribution(encoded, labels[index], predicted, probability, method_, baseline_, scores, words, value,
                       baseline_value, steps_used)


def check_method(model: Model, method: str, baseline: str | None) -> tuple[Method, Baseline]:
    """The method and the baseline by their names; raises UserError for an unfit model or an unknown name."""
    if model.kind != "encoder":
        raise UserError(f"Attribution is for encoders, but {model.info.reference} ({model.info.family_name}) is a "
                        f"{model.kind}.",
                        fix="Choose an encoder; headstart inspect shows states and attentions of every family.")
    if model.head != CLASSIFIER or model.fresh_weights:
        raise UserError(f"Attribution explains classifiers, but {model.info.reference} has no such trained head.",
                        fix=f"Train one first: headstart finetune FILE --model {model.info.reference}")
    checked_method = next((name for name in METHODS if name == method), None)
    if checked_method is None:
        suggestion = nearest(method, METHODS)
        raise UserError(f"There is no attribution method {method!r}; there are {', '.join(METHODS)}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else "Choose one of them.")
    has_mask = model.tokenizer.mask_id is not None
    baseline_name = baseline or ("mask" if checked_method == "occlusion" and has_mask else "pad")
    checked_baseline = next((name for name in BASELINES if name == baseline_name), None)
    if checked_baseline is None or (checked_baseline == "mask" and not has_mask):
        reason = "; this tokenizer has no mask" if checked_baseline else ""
        raise UserError(f"The baseline is pad or mask, but it is {baseline_name!r}{reason}.", fix="Use pad.")
    return checked_method, checked_baseline


def label_names(model: Model) -> list[str]:
    """The names of the model's outputs."""
    names = model.module.config.id2label
    return [str(names[index]) for index in range(len(names))]


def label_index(labels: Sequence[str], logits: NDArray[Any], target: str | None) -> int:
    """The output to explain; raises UserError for a label that the model does not have."""
    if target is None:
        return int(logits.argmax())
    if target not in labels:
        suggestion = nearest(target, labels)
        label_list = ", ".join(labels[:12]) + (" …" if len(labels) > 12 else "")
        raise UserError(f"The model has no label {target!r}; it has {label_list}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else "Choose one of them.")
    return labels.index(target)


def predicted_label(model: Model, labels: Sequence[str], logits: NDArray[Any]) -> tuple[str, float | None]:
    """The predicted label with its probability; the predicted number of a regression model."""
    import numpy as np

    problem_type = model.module.config.problem_type
    if problem_type == "regression" or len(labels) == 1:
        return f"{float(logits[0]):.4f}", None
    best = int(logits.argmax())
    if problem_type == "multi_label_classification":
        return labels[best], float(1 / (1 + np.exp(-logits[best])))
    exponentials = np.exp(logits - logits.max())
    return labels[best], float(exponentials[best] / exponentials.sum())


class Scorer:
    """Logits and gradients of one input, of points between it and its baseline, and of its variants."""

    def __init__(self, model: Model, encoded: EncodedText, baseline: Baseline) -> None:
        import torch

        self.model, self.encoded = model, encoded
        baseline_id = model.tokenizer.pad_id if baseline == "pad" else model.tokenizer.mask_id
        assert baseline_id is not None
        self.baseline_id: int = baseline_id
        self.baseline_ids = [token.id if token.special else self.baseline_id for token in encoded.tokens]
        self.token_count = len(encoded.tokens)
        model.module.eval()
        embeddings = model.module.get_input_embeddings()
        with torch.no_grad():
            ids = torch.tensor([list(encoded.feature.ids), self.baseline_ids], device=model.device)
            self.embeddings, self.baseline_embeddings = embeddings(ids).float()  # (T, W) each
        self.difference = self.embeddings - self.baseline_embeddings

    def logits(self, variants: Sequence[Sequence[int]]) -> NDArray[Any]:
        """The model's outputs for other ids of the same length, (K, C)."""
        import numpy as np
        import torch

        outputs = []
        for start in range(0, len(variants), self.batch_size):
            with torch.inference_mode():
                outputs.append(self.model.forward(self.batch(variants[start:start + self.batch_size]))[
                    "logits"].double().cpu().numpy())
        return np.concatenate(outputs)

    def value(self, ids: Sequence[int], index: OutputIndex) -> float:
        """One output for one row of ids."""
        import torch

        with torch.inference_mode():
            return float(explained_output(self.model.forward(self.batch([ids]))["logits"].double(), index, 1)[0])

    def gradients(self, shares: Sequence[float], index: OutputIndex) -> Tensor:
        """The gradient of one output at each point of the straight path, by the embeddings: (K, T, W)."""
        import torch

        gradients = []
        for start in range(0, len(shares), self.batch_size):
            batch_shares = torch.tensor(shares[start:start + self.batch_size]).to(self.embeddings)
            points = (self.baseline_embeddings + batch_shares[:, None, None] * self.difference).requires_grad_()
            with torch.enable_grad(), embeddings_replaced(self.model.module, points):
                logits = self.model.forward(self.batch([list(self.encoded.feature.ids)] * len(batch_shares)))["logits"]
                (gradient,) = torch.autograd.grad(explained_output(logits, index, len(batch_shares)).sum(), points)
            gradients.append(gradient)
        return torch.cat(gradients)

    def batch(self, variants: Sequence[Sequence[int]]) -> Any:
        """Variants of the input, one a row: all are equally long."""
        segments = self.encoded.feature.types
        layout = Layout(packed=False, pad_id=self.model.tokenizer.pad_id)
        return collate([Feature(list(ids), segments) for ids in variants], layout)

    @property
    def batch_size(self) -> int:
        """How many variants go through the model together."""
        return max(1, BATCH_TOKENS // self.token_count)


@contextlib.contextmanager
def embeddings_replaced(module: Any, points: Tensor) -> Iterator[None]:
    """For a while the token embeddings are these numbers (K, T, W), whatever the ids."""
    def replace_output(_: Any, __: Any, output: Tensor) -> Tensor:
        """A forward hook of the embedding table."""
        assert points.shape == output.shape
        return points

    hook = module.get_input_embeddings().register_forward_hook(replace_output)
    try:
        yield
    finally:
        hook.remove()


def explained_output(outputs: Tensor, index: OutputIndex, count: int) -> Tensor:
    """The output that is explained, for each of `count` variants: a column, or a sum of tokens' columns."""
    if isinstance(index, int):
        return outputs[:, index]
    table = outputs.reshape(count, -1, outputs.shape[-1])
    return sum((table[:, token, column] for token, column in index[1:]), table[:, index[0][0], index[0][1]])


def integrated_gradients(scorer: Scorer, index: OutputIndex, difference: float,
                         steps: int | None) -> tuple[NDArray[Any], int]:
    """Equation 1 of the paper by Gauss-Legendre quadrature, (T,), and its number of points."""
    import numpy as np
    import torch

    step_count = steps if steps is not None else MIN_STEPS
    while True:
        nodes, weights = np.polynomial.legendre.leggauss(step_count)
        total = torch.zeros_like(scorer.embeddings, dtype=torch.float64)
        shares = ((1 + nodes) / 2).tolist()
        for start in range(0, step_count, scorer.batch_size):
            gradients = scorer.gradients(shares[start:start + scorer.batch_size], index).double()
            batch_weights = torch.from_numpy(weights[start:start + scorer.batch_size] / 2).to(gradients.device)
            total += (gradients * batch_weights[:, None, None]).sum(dim=0)
        scores: NDArray[Any] = (total * scorer.difference.double()).sum(dim=-1).cpu().numpy()
        if steps is not None or step_count >= MAX_STEPS or abs(scores.sum()
                                                               - difference) <= MAX_ERROR * abs(difference):
            return scores, step_count
        step_count *= 2


def occlusion(scorer: Scorer, encoded: EncodedText, index: int, value: float) -> NDArray[Any]:
    """How much the logit falls when a word is masked, divided evenly among its tokens, (T,)."""
    import numpy as np

    text_words = split_words(encoded)
    ids = list(encoded.feature.ids)
    variants = [[scorer.baseline_id if position in word.token_indices else token for position, token in enumerate(ids)]
                for word in text_words]
    scores = np.zeros(scorer.token_count)
    for word, logits in zip(text_words, scorer.logits(variants), strict=True):
        scores[list(word.token_indices)] = (value - float(logits[index])) / len(word.token_indices)
    return scores
