"""What is recorded while a model generates: log p of each token, and whether a text may end.

B texts of a batch, V pieces of the vocabulary, S tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor


class LogProbabilityRecorder:
    """Records log p of each token that a model generates, one after another (not with beams, whose rows are reordered).

        with LogProbabilityRecorder(module) as recorder:
            ids = module.generate(…, logits_processor=[recorder])
        recorder.rows(ids[:, -1])   log p of each new token of each text, without temperature and penalties
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.next_log_probabilities: Tensor | None = None  # (B, V)
        self.values: list[Tensor] = []

    def __enter__(self) -> Self:
        self.hook = self.module.register_forward_hook(self.keep_scores)
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()

    def keep_scores(self, _: Any, __: Any, output: Any) -> None:
        """Scores as the model gives them."""
        self.scores = output.logits[:, -1]

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """As a logits processor: record the last token, and change nothing."""
        self.record(ids[:, -1])
        self.next_log_probabilities = self.scores.float().log_softmax(-1)
        return scores

    def record(self, tokens: Tensor) -> None:
        """Record the log-probability of these tokens, (B,)."""
        if self.next_log_probabilities is not None:
            self.values.append(self.next_log_probabilities.gather(1, tokens[:, None])[:, 0])
        self.next_log_probabilities = None

    def rows(self, last_tokens: Tensor) -> list[list[float]]:
        """Each text's log-probabilities, where its last token is this one, (B,)."""
        import torch

        self.record(last_tokens)
        rows: list[list[float]] = torch.stack(self.values, 1).tolist() if self.values else [[] for _ in last_tokens]
        return rows


class StopStrings:
    """A stopping criterion: whether each text contains a stop string; it is cut exactly later.

    The library's own criterion works for byte-level and sentencepiece tokenizers alone.
    """

    def __init__(self, to_text: Callable[[Sequence[int], Sequence[int]], str], prompts: Sequence[Sequence[int]],
                 stop_strings: Sequence[str]) -> None:
        self.to_text, self.prompts, self.stop_strings = to_text, prompts, stop_strings
        self.width = max(map(len, prompts))

    def __call__(self, ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """True for each text that may end, (B, S) -> (B,)."""
        import torch

        rows_per_prompt = len(ids) // len(self.prompts)  # its beams or texts
        texts = [self.to_text(self.prompts[row // rows_per_prompt], new_ids)
                 for row, new_ids in enumerate(ids[:, self.width:].tolist())]
        return torch.tensor([any(stop_string in text for stop_string in self.stop_strings) for text in texts],
                            device=ids.device)
