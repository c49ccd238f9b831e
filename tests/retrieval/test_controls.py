"""Controls: random passages, near duplicates between splits, copying."""

import random
import time

from headstart.retrieval.documents.passage import Found, Passage
from headstart.retrieval.evaluation.controls import copied, jaccard, overlap, random_passages, shingles


def passages(count):
    return [Passage(f"doc{number}.txt", "", "", f"Text {number} is here. It has two sentences.", 0, 40) for number in range(count)]


def test_random_passages_are_others_as_many_and_come_again_with_their_seed():
    held = passages(50)
    lists = [[Found(held[row], row, 1 / (row + 1)) for row in rows] for rows in ([1, 2, 3], [4], [], [7, 9])]
    made = random_passages(held, lists, seed=1)
    assert [len(one) for one in made] == [3, 1, 0, 2]
    for own, drawn in zip(lists, made, strict=True):
        assert not {one.row for one in own} & {one.row for one in drawn} and len({one.row for one in drawn}) == len(drawn)
        assert [one.score for one in drawn] == [one.score for one in own]
        assert all(one.passage == held[one.row] for one in drawn)
    assert made == random_passages(held, lists, seed=1) != random_passages(held, lists, seed=2)


def test_a_small_index_gives_what_it_has():
    held = passages(4)
    made = random_passages(held, [[Found(held[row], row, 1.0) for row in (0, 1, 2)]], seed=0)
    assert [one.row for one in made[0]] == [3]
    assert random_passages(held, [[Found(one, row, 1.0) for row, one in enumerate(held)]], seed=0) == [[]]


def test_likeness_is_worked_out_by_hand():
    # "why is the", "is the sky", "the sky blue" by two words: why is | is the | the sky | sky blue; 3 of 5 are shared
    assert jaccard(shingles("Why is the sky blue?"), shingles("why is the sky red")) == 3 / 5
    assert jaccard(shingles(""), shingles("")) == 0 and len(shingles("One")) == 1


def test_near_duplicates_are_found_and_the_rest_is_clean():
    train = ["Why is the sky blue?", "How do planes fly?", "What is a mortgage and how does it work?"]
    test = ["why is the sky blue", "What is rain?", "what is a mortgage and how does that work", "?"]
    found = overlap(train, test)
    assert [(twin.test, twin.train) for twin in found.twins] == [(0, 0), (2, 2)] and found.twins[0].likeness == 1.0
    assert found.share == 0.5 and found.clean == [1, 3] and found.json()["near_duplicates"] == 2
    assert overlap(train, []).share is None and overlap([], test).share == 0


def test_nothing_that_is_alike_is_missed_and_the_time_grows_with_the_rows():
    draw = random.Random(0)
    words = [f"word{number}" for number in range(300)]
    train = ["what is " + " ".join(draw.choices(words, k=8)) for _ in range(1500)]
    test = []
    for text in train[:300]:
        held = text.split()
        held[draw.randrange(2, len(held))] = "other"
        test.append(" ".join(held))
    kept = [shingles(text) for text in train]
    slow = {place for place, text in enumerate(test) if max(jaccard(shingles(text), one) for one in kept) >= 0.5}
    assert {twin.test for twin in overlap(train, test).twins} == slow and len(slow) > 250
    begin = time.process_time()
    overlap(train * 8, test * 4)
    assert time.process_time() - begin < 5


def test_copying_answers_from_the_passages_alone():
    held = [[Found(one, row, 1.0) for row, one in enumerate(passages(2))], []]
    made = copied(["Has it two sentences?", "Who?"], held, ["One. Two.", "One. Two.", "One."])
    assert made["best passage's first sentences"] == ["Text 0 is here. It has two sentences.", ""]
    assert made["sentence like the question"] == ["It has two sentences.", ""]
