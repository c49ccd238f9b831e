"""What is heard while a model writes: how likely each token was, and whether a text may end.

B texts side by side, V pieces of the vocabulary, S tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor


class Collected:
    """Listens to a model that writes one token after another (not to beams, which change places).

        with Collected(module) as seen:
            ids = module.generate(…, logits_processor=[seen])
        seen.rows(ids[:, -1])   log p of each new token of each text, without temperature and penalties
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.logs: Tensor | None = None  # (B, V) of the token that is chosen next
        self.values: list[Tensor] = []

    def __enter__(self) -> Self:
        self.hook = self.module.register_forward_hook(self.hear)
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()

    def hear(self, _: Any, __: Any, output: Any) -> None:
        """Scores as the model gives them."""
        self.scores = output.logits[:, -1]

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """Between two tokens: the last one is known now; changes nothing."""
        self.take(ids[:, -1])
        self.logs = self.scores.float().log_softmax(-1)
        return scores

    def take(self, chosen: Tensor) -> None:
        """Keep the log-probability of what was chosen, (B,)."""
        if self.logs is not None:
            self.values.append(self.logs.gather(1, chosen[:, None])[:, 0])
        self.logs = None

    def rows(self, last: Tensor) -> list[list[float]]:
        """Each text's log-probabilities, when the last chosen tokens are these (B,)."""
        import torch

        self.take(last)
        found: list[list[float]] = torch.stack(self.values, 1).tolist() if self.values else [[] for _ in last]
        return found


class Stopped:
    """Whether each text holds one of the strings that end it; it is cut exactly later.

    The library's own criterion knows tokenizers of bytes and of sentencepiece alone.
    """

    def __init__(self, said: Callable[[Sequence[int], Sequence[int]], str], prompts: Sequence[Sequence[int]], stop: Sequence[str]) -> None:
        self.said, self.prompts, self.stop = said, prompts, stop
        self.width = max(map(len, prompts))

    def __call__(self, ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """True for each text that may end, (B, S) -> (B,)."""
        import torch

        each = len(ids) // len(self.prompts)  # beams or answers of one prompt
        texts = [self.said(self.prompts[row // each], new) for row, new in enumerate(ids[:, self.width:].tolist())]
        return torch.tensor([any(word in text for word in self.stop) for text in texts], device=ids.device)
