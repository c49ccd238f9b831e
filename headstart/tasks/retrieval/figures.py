"""Figures of retrieval: how deep one must look, what was missed, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contract import Figure, Json, Prediction
from headstart.tasks.retrieval.examples import QuestionPassages, distinct_passages

DEPTHS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
MAX_MISSED, MAX_FOUND, MAX_CHARACTERS = 30, 10, 600


def figures(examples: Sequence[QuestionPassages], predictions: Sequence[Prediction]) -> list[Figure]:
    """Share found by depth, questions whose passage is not first (worst first), and some whose passage is."""
    texts, own_indices, relevant = distinct_passages(examples)
    ranks = [prediction.detail["rank"] for prediction in predictions]
    missed = sorted((index for index, rank in enumerate(ranks) if rank != 1),
                    key=lambda index: -(len(texts) + 1 if ranks[index] is None else ranks[index]))
    first_ones = [index for index, rank in enumerate(ranks) if rank == 1]

    def items(indices: Sequence[int]) -> list[Json]:
        return [{"title": examples[index].question[:MAX_CHARACTERS],
                 "fields": {"row": examples[index].row, "rank": ranks[index] if ranks[index] else "not listed"},
                 "columns": [["In the file", [[texts[own_indices[index]][:MAX_CHARACTERS], ""]]], *(
                     [f"Rank {rank}", [[texts[passage_index][:MAX_CHARACTERS],
                                        "found" if passage_index in relevant[index] else ""]]]
                     for rank, passage_index in enumerate(predictions[index].detail["first"], 1))]}
                for index in indices]

    marks = {"found": "a passage that answers the question"}
    return [found_by_depth(ranks, len(texts)),
            Figure("missed", "What was missed", "beside", {"items": items(missed[:MAX_MISSED]), "marks": marks},
                   f"Of {len(ranks):,} questions {len(missed):,} have another passage first; those whose own comes "
                   "last, with what came first."),
            Figure("found", "What was found", "beside", {"items": items(first_ones[:MAX_FOUND]), "marks": marks},
                   f"{len(first_ones):,} questions have a passage that answers them first; some of them.")]


def found_by_depth(ranks: Sequence[int | None], passages: int) -> Figure:
    """The share of questions with an answer among the first k passages."""
    depths = [depth for depth in DEPTHS if depth < passages] + [min(passages, DEPTHS[-1])]
    points = [[float(depth), sum(rank is not None and rank <= depth for rank in ranks) / max(1, len(ranks))]
              for depth in depths]
    return Figure("by_depth", "Found by depth", "curve",
                  {"x_title": "passages that are looked at", "y_title": "share of questions with an answer among them",
                   "diagonal": False, "series": {"found": points}}, f"Among {passages:,} different passages.")
