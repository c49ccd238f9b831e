"""What the report shows of retrieval and of language models says what their scores say."""

import numpy as np
import pytest

from headstart.contract import Prediction
from headstart.tasks.retrieval import figures as retrieval_figures
from headstart.tasks.retrieval.examples import QuestionPassages, rank_passages
from headstart.tasks.shared.language_figures import BINS, loss_by_position, position_sums


def test_what_was_found_and_missed_is_what_the_ranks_say():
    directions = np.eye(4)
    examples = [QuestionPassages(row, f"question {row}", f"passage {row}") for row in range(4)]
    questions = [directions[0], directions[1], directions[3] * 0.9 + directions[2] * 0.1, directions[3]]
    predictions = rank_passages(examples, [Prediction(row, {}, {"question": questions[row], "passage": directions[row]})
                                           for row in range(4)])
    depth, missed, found = retrieval_figures.figures(examples, predictions)
    assert depth.data["series"]["found"] == [[1.0, 0.75], [2.0, 1.0], [3.0, 1.0], [4.0, 1.0]]
    (item,) = missed.data["items"]
    assert item["title"] == "question 2" and item["fields"]["rank"] == 2
    assert [heading for heading, _ in item["columns"]] == ["In the file", "Rank 1", "Rank 2", "Rank 3"]
    assert item["columns"][1][1] == [["passage 3", ""]] and item["columns"][2][1] == [["passage 2", "found"]]
    assert len(found.data["items"]) == 3 and "Of 4 questions 1 " in missed.caption
    mean = sum(1 / prediction.detail["rank"] for prediction in predictions) / 4
    assert mean == pytest.approx(np.mean([prediction.detail["mrr"] for prediction in predictions]))


def test_the_loss_by_position_adds_up_to_the_loss():
    losses = np.arange(1.0, 8.0)
    sums = position_sums(losses, range(7))  # 1 to 7 tokens before
    assert sums.shape == (2, BINS) and sums[0, :3].tolist() == [1, 5, 22] and sums[1, :3].tolist() == [1, 2, 4]
    prediction = Prediction(0, {}, {"positions": sums, "loss": losses.sum(), "count": 7})
    (figure,) = loss_by_position([prediction, prediction])
    points, tokens = figure.data["series"]["loss"], figure.data["more"]["tokens"]
    assert sum(mean * tokens[place] for place, mean in points) == 2 * losses.sum()
    assert loss_by_position([Prediction(0, {}, {})]) == []
