"""Layouts as they stand in offices and on sites of datasets: the task and its columns are found right, or asked."""

import csv
import random

import pytest
import tiny

from headstart import tasks
from headstart.contract import Column
from headstart.errors import UserError

ROWS = 60
TEXTS = tiny.texts(ROWS, seed=3)
TITLES = [text.split(".")[0][:24] for text in tiny.texts(ROWS, seed=4)]
LONGER = [f"{first} {second}" for first, second in zip(TEXTS, tiny.texts(ROWS, seed=5), strict=True)]


def cycle(*values):
    return [values[(index * 7 + index // 5) % len(values)] for index in range(ROWS)]


def numbers(low, high, digits=None, seed=0):
    rng = random.Random(seed)
    return [rng.randint(low, high) if digits is None else round(rng.uniform(low, high), digits) for _ in range(ROWS)]


IDS = list(range(1001, 1001 + ROWS))
SHUFFLED_IDS = random.Random(1).sample(range(10**8, 10**9), ROWS)
DATES = [f"2024-{1 + index % 12:02}-{1 + index % 28:02}" for index in range(ROWS)]
NAMES = [f"Person {index % 37}" for index in range(ROWS)]
HALF = ["" if index % 3 else "x" for index in range(ROWS)]
STARS = numbers(1, 5)
MOODS, TEAMS = cycle("positive", "negative", "neutral"), cycle("Billing", "Repairs", "Sales", "Returns")
CLASSIFY, REGRESS, PAIRS = "text-classification", "regression", "text-classification"

# name: (columns, task and its columns, or None where it has to be asked)
LAYOUTS = {
    "two columns": ({"text": TEXTS, "label": MOODS}, (CLASSIFY, {"text": "text", "label": "label"})),
    "label first": ({"label": MOODS, "text": TEXTS}, (CLASSIFY, {"text": "text", "label": "label"})),
    "v1 v2 and empty columns": ({"v1": cycle("ham", "spam"), "v2": TEXTS, "Unnamed: 2": HALF, "Unnamed: 3": HALF},
                                (CLASSIFY, {"text": "v2", "label": "v1"})),
    "row numbers of pandas": ({"Unnamed: 0": list(range(ROWS)), "text": TEXTS, "label": STARS},
                              (CLASSIFY, {"text": "text", "label": "label"})),
    "airline tweets": ({"tweet_id": SHUFFLED_IDS, "airline_sentiment": MOODS,
                        "airline_sentiment_confidence": numbers(0, 1, 4), "negativereason": cycle("", "Late", "Lost"),
                        "negativereason_confidence": numbers(0, 1, 4), "airline": cycle("A", "B", "C"),
                        "airline_sentiment_gold": HALF, "name": NAMES, "retweet_count": numbers(0, 9), "text": TEXTS,
                        "tweet_created": DATES, "user_timezone": cycle("East", "West")},
                       (CLASSIFY, {"text": "text", "label": "airline_sentiment"})),
    "clothing reviews": ({"": list(range(ROWS)), "Clothing ID": numbers(1, 900), "Age": numbers(18, 80),
                          "Title": TITLES, "Review Text": TEXTS, "Rating": STARS, "Recommended IND": cycle(0, 1),
                          "Positive Feedback Count": numbers(0, 40), "Department Name": cycle("Tops", "Dresses"),
                          "Class Name": cycle("Knits", "Blouses")},
                         (CLASSIFY, {"text": "Review Text", "label": "Rating"})),
    "tweets with votes of annotators": ({"": list(range(ROWS)), "count": numbers(3, 9), "hate_speech": numbers(0, 3),
                                         "offensive_language": numbers(0, 3), "neither": numbers(0, 3),
                                         "class": cycle(0, 1, 2), "tweet": TEXTS},
                                        (CLASSIFY, {"text": "tweet", "label": "class"})),
    "toxic comments": ({"id": IDS, "comment_text": TEXTS, "toxic": cycle(0, 1), "obscene": cycle(0, 1, 0),
                        "insult": cycle(1, 0, 0)},
                       ("multilabel-classification", {"text": "comment_text", "labels": "toxic,obscene,insult"})),
    "product reviews with summaries": ({"Id": IDS, "ProductId": NAMES, "UserId": NAMES, "Score": STARS, "Time": IDS,
                                        "Summary": TITLES, "Text": TEXTS}, None),
    "news with headline and description": ({"category": TEAMS, "headline": TITLES, "authors": NAMES, "link": NAMES,
                                            "short_description": TEXTS, "date": DATES},
                                           (CLASSIFY, {"text": "short_description", "label": "category"})),
    "class index, title, description": ({"Class Index": numbers(1, 4), "Title": TITLES, "Description": TEXTS},
                                        (CLASSIFY, {"text": "Description", "label": "Class Index"})),
    "film reviews": ({"review": TEXTS, "sentiment": MOODS}, (CLASSIFY, {"text": "review", "label": "sentiment"})),
    "disaster tweets": ({"id": IDS, "keyword": cycle("fire", "flood"), "location": NAMES, "text": TEXTS,
                         "target": cycle(0, 1)}, (CLASSIFY, {"text": "text", "label": "target"})),
    "questions with quality": ({"Id": IDS, "Title": TITLES, "Body": TEXTS, "CreationDate": DATES,
                                "Y": cycle("HQ", "LQ")}, (CLASSIFY, {"text": "Body", "label": "Y"})),
    "stars and reactions": ({"business_id": NAMES, "stars": STARS, "text": TEXTS, "user_id": NAMES,
                             "cool": numbers(0, 5), "useful": numbers(0, 5), "funny": numbers(0, 5), "date": DATES},
                            (CLASSIFY, {"text": "text", "label": "stars"})),
    "question pairs": ({"id": IDS, "qid1": SHUFFLED_IDS, "qid2": IDS, "question1": TEXTS, "question2": LONGER,
                        "is_duplicate": cycle(0, 1)},
                       (PAIRS, {"text": "question1", "pair": "question2", "label": "is_duplicate"})),
    "premise and hypothesis": ({"premise": TEXTS, "hypothesis": LONGER, "gold_label": cycle("yes", "no", "maybe"),
                                "pairID": NAMES},
                               (PAIRS, {"text": "premise", "pair": "hypothesis", "label": "gold_label"})),
    "similar sentences": ({"split": cycle("train", "dev"), "genre": cycle("a", "b"), "year": numbers(2012, 2016),
                           "score": numbers(0, 5, 2), "sentence1": TEXTS, "sentence2": LONGER},
                          (REGRESS, {"text": "sentence1", "pair": "sentence2", "target": "score"})),
    "readability": ({"id": NAMES, "url_legal": HALF, "license": HALF, "excerpt": TEXTS, "target": numbers(-3, 1, 6),
                     "standard_error": numbers(0, 1, 6)}, (REGRESS, {"text": "excerpt", "target": "target"})),
    "prices": ({"name": TITLES, "item_description": TEXTS, "price": numbers(3, 900, 2)},
               (REGRESS, {"text": "item_description", "target": "price"})),
    "articles and highlights": ({"id": NAMES, "article": LONGER, "highlights": TITLES},
                                ("summarization", {"source": "article", "target": "highlights"})),
    "question, context, answer": ({"id": NAMES, "title": TITLES, "context": LONGER, "question": TEXTS,
                                   "answer": TITLES}, ("question-answering", {"question": "question",
                                                                              "passage": "context"})),
    "office letters": ({"Datum": DATES, "Kundennr": IDS, "Kundentext": TEXTS, "Abteilung": TEAMS},
                       (CLASSIFY, {"text": "Kundentext", "label": "Abteilung"})),
    "French": ({"identifiant": IDS, "commentaire": TEXTS, "categorie": TEAMS},
               (CLASSIFY, {"text": "commentaire", "label": "categorie"})),
    "Spanish": ({"id": IDS, "texto": TEXTS, "etiqueta": MOODS}, (CLASSIFY, {"text": "texto", "label": "etiqueta"})),
    "spam mails": ({"message": TEXTS, "spam": cycle(0, 1)}, (CLASSIFY, {"text": "message", "label": "spam"})),
    "camel case": ({"reviewText": TEXTS, "overallRating": STARS, "reviewerName": NAMES},
                   (CLASSIFY, {"text": "reviewText", "label": "overallRating"})),
    "confidence beside the label": ({"id": IDS, "comment": TEXTS, "score_confidence": numbers(0, 1, 3),
                                     "label": MOODS}, (CLASSIFY, {"text": "comment", "label": "label"})),
    "predictions beside the label": ({"text": TEXTS, "label": MOODS, "prediction": cycle("positive", "neutral"),
                                      "probability": numbers(0, 1, 4)},
                                     (CLASSIFY, {"text": "text", "label": "label"})),
    "title and text": ({"title": TITLES, "text": TEXTS, "topic": TEAMS},
                       (CLASSIFY, {"text": "text", "label": "topic"})),
    "genres": ({"Title": TITLES, "Plot": LONGER, "Genre": TEAMS, "Release Year": numbers(1950, 2020),
                "Wiki Page": NAMES}, (CLASSIFY, {"text": "Plot", "label": "Genre"})),
    "subject and body": ({"From": NAMES, "Date": DATES, "Subject": TITLES, "Body": TEXTS, "Label": cycle(0, 1)},
                         (CLASSIFY, {"text": "Body", "label": "Label"})),
    "complaints": ({"Date received": DATES, "Consumer complaint narrative": TEXTS, "Category": TEAMS,
                    "ZIP code": numbers(10000, 99999), "Complaint ID": SHUFFLED_IDS},
                   (CLASSIFY, {"text": "Consumer complaint narrative", "label": "Category"})),
    "intents": ({"utterance": TEXTS, "intent": TEAMS}, (CLASSIFY, {"text": "utterance", "label": "intent"})),
    "emotions": ({"sentence": TEXTS, "emotion": MOODS}, (CLASSIFY, {"text": "sentence", "label": "emotion"})),
    "score of many values": ({"essay": LONGER, "score": numbers(1, 60)},
                             (REGRESS, {"text": "essay", "target": "score"})),
    "marks": ({"essay_id": IDS, "essay": LONGER, "final_score": numbers(0, 100, 1)},
              (REGRESS, {"text": "essay", "target": "final_score"})),
    "one number beside a text": ({"advert": TEXTS, "weight in kg": numbers(1, 90, 1)},
                                 (REGRESS, {"text": "advert", "target": "weight in kg"})),
    "multi-label lists": ({"abstract": LONGER, "tags": [["a"], ["a", "b"], []] * 20},
                          ("multilabel-classification", {"text": "abstract", "labels": "tags"})),
    "source and target": ({"source": TEXTS, "target": LONGER}, ("text-to-text", {"source": "source",
                                                                                "target": "target"})),
    "prompts": ({"prompt": TEXTS, "completion": LONGER}, ("language-model", {"prompt": "prompt",
                                                                            "response": "completion"})),
    "dialogues": ({"id": NAMES, "dialogue": LONGER, "summary": TITLES},
                  ("summarization", {"source": "dialogue", "target": "summary"})),
    "words and tags": ({"tokens": [["a", "b"]] * ROWS, "ner_tags": [["O", "O"]] * ROWS},
                       ("token-tagging", {"tokens": "tokens", "tags": "ner_tags"})),
    "support tickets": ({"Ticket ID": IDS, "Customer Name": NAMES, "Ticket Subject": TITLES,
                         "Ticket Description": TEXTS, "Ticket Status": cycle("open", "closed"),
                         "Ticket Priority": cycle("low", "high"), "Ticket Channel": cycle("mail", "phone")},
                        (CLASSIFY, {"text": "Ticket Description", "label": "Ticket Priority"})),
    "capitals": ({"TEXT": TEXTS, "LABEL": MOODS}, (CLASSIFY, {"text": "TEXT", "label": "LABEL"})),
    "Chinese": ({"\u6587\u672c": TEXTS, "\u6807\u7b7e": MOODS},
                (CLASSIFY, {"text": "\u6587\u672c", "label": "\u6807\u7b7e"})),
    "yes and no": ({"email_text": TEXTS, "is_spam": cycle("True", "False")},
                   (CLASSIFY, {"text": "email_text", "label": "is_spam"})),
    "polarity": ({"id": IDS, "sentence": TEXTS, "polarity": cycle(-1, 0, 1)},
                 (CLASSIFY, {"text": "sentence", "label": "polarity"})),
    "half stars": ({"review": TEXTS, "stars": cycle(0.5, 1.5, 2.0, 4.5, 5.0)},
                   (REGRESS, {"text": "review", "target": "stars"})),
    # what has to be asked: no column says that it is the target, or two say it alike
    "two label columns": ({"text": TEXTS, "team": TEAMS, "urgency": cycle("low", "high")}, None),
    "category and rating": ({"text": TEXTS, "category": TEAMS, "rating": STARS}, None),
    "department and class": ({"text": TEXTS, "department": TEAMS, "product_category": MOODS}, None),
    "identifiers alone": ({"tweet_id": SHUFFLED_IDS, "text": TEXTS}, None),
    "a confidence alone": ({"text": TEXTS, "confidence": numbers(0, 1, 3)}, None),
    "a date alone": ({"text": TEXTS, "date": DATES}, None),
    "a count alone": ({"text": TEXTS, "likes": numbers(0, 5000)}, None),
    "our own predictions": ({"text": TEXTS, "prediction": MOODS, "probability": numbers(0, 1, 4)}, None),
    "paragraph numbers of a text file": ({"text": TEXTS, "document": sorted(numbers(0, 3))}, None),
    "coordinates": ({"text": TEXTS, "latitude": numbers(40, 50, 4), "longitude": numbers(5, 15, 4)}, None),
    "split names": ({"text": TEXTS, "split": cycle("train", "test")}, None),
    "a column that is mostly empty": ({"text": TEXTS, "reviewed": HALF}, None),
    "one value everywhere": ({"text": TEXTS, "source_system": ["crm"] * ROWS}, None),
    "unique texts in both": ({"first_part": TEXTS, "second_part": LONGER}, None),
    "usernames": ({"user": NAMES, "text": TEXTS}, None),
    "years": ({"text": TEXTS, "year": numbers(1990, 2000)}, None),
    "annotators": ({"text": TEXTS, "annotator": cycle("ann", "bob")}, None),
    "two texts and a label": ({"comment": TEXTS, "reply_comment": LONGER, "label": MOODS}, None),
    "two numbers": ({"text": TEXTS, "width": numbers(1, 9, 2), "height": numbers(1, 9, 2)}, None),
    "urls": ({"text": TEXTS, "url": cycle("a.html", "b.html")}, None),
    "pages of a book": ({"page": sorted(numbers(1, 12)), "text": TEXTS}, None),
    "sentences with numbers": ({"Sentence #": IDS, "sentence": TEXTS}, None),
    "headlines in three columns": ({"author": NAMES, "date": DATES, "headlines": TITLES, "read_more": NAMES,
                                    "text": TEXTS, "ctext": LONGER}, None),
    "numbers alone": ({"a": numbers(0, 9), "b": numbers(0, 1, 3)}, None),
    "labels alone": ({"label": MOODS, "team": TEAMS}, None),
    "three kinds of staff": ({"message": TEXTS, "assigned": cycle("ann", "bob"), "shift": cycle("a", "b")}, None),
}
ASKED = "Choose|Name the columns"


def detected(name):
    columns = [Column(column, [None if value == "" else value for value in values])
               for column, values in LAYOUTS[name][0].items()]
    return tasks.detect(columns, "rows.csv")


@pytest.mark.parametrize("name", [name for name, (_, expected) in LAYOUTS.items() if expected is not None])
def test_task_and_columns_of_a_layout_are_found(name):
    task, detection = detected(name)
    expected_task, expected_columns = LAYOUTS[name][1]
    assert task.name == expected_task
    assert expected_columns.items() <= detection.columns.items()
    assert all(repr(column) in detection.reason or expected_task not in (CLASSIFY, REGRESS)
               for column in expected_columns.values())


@pytest.mark.parametrize("name", [name for name, (_, expected) in LAYOUTS.items() if expected is None])
def test_a_layout_that_does_not_say_it_is_asked_about(name):
    with pytest.raises(UserError) as error:
        detected(name)
    assert error.value.exit == 2 and ("--task" in error.value.fix)


def test_there_are_seventy_four_layouts():
    assert len(LAYOUTS) >= 74


def test_what_the_user_named_is_not_asked_again():
    columns = [Column(name, values) for name, values in LAYOUTS["category and rating"][0].items()]
    with pytest.raises(UserError) as error:
        tasks.detect(columns, "my file.csv")
    assert "headstart finetune 'my file.csv' --task text-classification --text text --label rating" in error.value.fix
    assert "--label category" in error.value.fix
    task, detection = tasks.detect(columns, "my file.csv", {"label": "rating"})
    assert task.name == CLASSIFY and detection.columns == {"text": "text", "label": "rating"}
    _, detection = tasks.detect([*columns, Column("year", numbers(1990, 2000))], "f.csv", {"label": "year"})
    assert detection.columns == {"text": "text", "label": "year"}


def test_a_named_task_asks_for_its_columns_too(tmp_path, headstart):
    columns = LAYOUTS["two texts and a label"][0]
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    code, _, stderr = headstart("check", path, "--task", CLASSIFY)
    assert code == 2 and "--text comment or --text reply_comment" in stderr
    assert headstart("check", path, "--task", CLASSIFY, "--text", "comment,reply_comment")[0] == 0
