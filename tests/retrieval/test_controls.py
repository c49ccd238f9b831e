"""Controls: random passages, near duplicates between splits, copying."""

import random
import time

from headstart.retrieval.documents.passage import Passage, ScoredPassage
from headstart.retrieval.evaluation.controls import copy_baselines, jaccard, measure_overlap, random_passages, shingles


def passages(count):
    return [Passage(f"doc{number}.txt", "", "", f"Text {number} is here. It has two sentences.", 0, 40)
            for number in range(count)]


def test_random_passages_are_others_as_many_and_come_again_with_their_seed():
    index_passages = passages(50)
    rankings = [[ScoredPassage(index_passages[row], row, 1 / (row + 1)) for row in rows]
                for rows in ([1, 2, 3], [4], [], [7, 9])]
    samples = random_passages(index_passages, rankings, seed=1)
    assert [len(hit) for hit in samples] == [3, 1, 0, 2]
    for ranking, sample in zip(rankings, samples, strict=True):
        assert not {hit.row for hit in ranking} & {hit.row for hit in sample} and len(
            {hit.row for hit in sample}) == len(sample)
        assert [hit.score for hit in sample] == [hit.score for hit in ranking]
        assert all(hit.passage == index_passages[hit.row] for hit in sample)
    assert samples == random_passages(index_passages, rankings,
                                      seed=1) != random_passages(index_passages, rankings, seed=2)


def test_a_small_index_gives_what_it_has():
    index_passages = passages(4)
    samples = random_passages(index_passages, [[ScoredPassage(index_passages[row], row, 1.0) for row in (0, 1, 2)]],
                              seed=0)
    assert [hit.row for hit in samples[0]] == [3]
    assert random_passages(index_passages, [[ScoredPassage(hit, row, 1.0) for row, hit in enumerate(index_passages)]],
                           seed=0) == [[]]


def test_likeness_is_worked_out_by_hand():
    # "why is the", "is the sky", "the sky blue" by two words: why is | is the | the sky | sky blue; 3 of 5 are shared
    assert jaccard(shingles("Why is the sky blue?"), shingles("why is the sky red")) == 3 / 5
    assert jaccard(shingles(""), shingles("")) == 0 and len(shingles("One")) == 1


def test_near_duplicates_are_found_and_the_rest_is_clean():
    train = ["Why is the sky blue?", "How do planes fly?", "What is a mortgage and how does it work?"]
    test = ["why is the sky blue", "What is rain?", "what is a mortgage and how does that work", "?"]
    overlap = measure_overlap(train, test)
    assert [(pair.test, pair.train)
            for pair in overlap.near_duplicates] == [(0, 0), (2, 2)] and overlap.near_duplicates[0].similarity == 1.0
    assert overlap.share == 0.5 and overlap.clean == [1, 3] and overlap.json()["near_duplicates"] == 2
    assert measure_overlap(train, []).share is None and measure_overlap([], test).share == 0


def test_nothing_that_is_alike_is_missed_and_the_time_grows_with_the_rows():
    rng = random.Random(0)
    words = [f"word{number}" for number in range(300)]
    train = ["what is " + " ".join(rng.choices(words, k=8)) for _ in range(1500)]
    test = []
    for text in train[:300]:
        tokens = text.split()
        tokens[rng.randrange(2, len(tokens))] = "other"
        test.append(" ".join(tokens))
    train_shingles = [shingles(text) for text in train]
    exhaustive = {row for row, text in enumerate(test)
                  if max(jaccard(shingles(text), train_set) for train_set in train_shingles) >= 0.5}
    assert {pair.test for pair in measure_overlap(train, test).near_duplicates} == exhaustive and len(exhaustive) > 250
    start = time.process_time()
    measure_overlap(train * 8, test * 4)
    assert time.process_time() - start < 5


def test_copying_answers_from_the_passages_alone():
    rankings = [[ScoredPassage(passage, row, 1.0) for row, passage in enumerate(passages(2))], []]
    copied = copy_baselines(["Has it two sentences?", "Who?"], rankings, ["One. Two.", "One. Two.", "One."])
    assert copied["best passage's first sentences"] == ["Text 0 is here. It has two sentences.", ""]
    assert copied["sentence like the question"] == ["It has two sentences.", ""]
