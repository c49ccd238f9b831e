"""Translation: the same text in another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from headstart.contract import Baseline, Column, Detection, Measures, Prediction
from headstart.tasks.shared.sequence_to_sequence import SequenceToSequenceTask, SourceTargetExample
from headstart.tasks.shared.sequence_to_sequence_baselines import COPY_BASELINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Translation(SequenceToSequenceTask):
    """A text in another language."""

    name: ClassVar[str] = "translation"
    summary: ClassVar[str] = "a text in another language (BLEU and chrF need the extra translation)"
    pipeline_tag: ClassVar[str] = "translation"
    selection_score: ClassVar[tuple[str, bool]] = ("bleu", True)
    default_model: ClassVar[str] = ""  # there is none for all languages

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Never detected: columns do not say which languages are meant."""
        return None

    def measure(self, example: SourceTargetExample, prediction: Prediction) -> Mapping[str, Any]:
        """Counts for BLEU and chrF, and the measures of all sequence-to-sequence tasks."""
        from headstart.metrics import translation

        counts = translation.measures(str(prediction.values["prediction"]), list(example.targets or ()))
        return dict(super().measure(example, prediction)) | counts

    def task_scores(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """bleu and chrf."""
        from headstart.metrics import translation

        return translation.scores(measures, weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """sacrebleu's definitions; the others as in all sequence-to-sequence tasks."""
        from headstart.metrics import translation

        if name in translation.DEFINITIONS:
            return translation.DEFINITIONS[name], True, "no row has a reference"
        return super().describe(name, measures)

    def baselines(self) -> tuple[Baseline, ...]:
        """The source untranslated."""
        return COPY_BASELINE
