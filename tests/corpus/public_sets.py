"""Files as published sets and export buttons write them: layouts that are known by name, in words of our own."""

import json

from odd_file import OddFile, delimited, json_lines, read, refused

NOUNS = ("parcel", "cable", "screen", "invoice", "door", "coat", "lamp", "chair")
TEXTS = [f"the {noun} came on day {number}" for number in range(4) for noun in NOUNS]


def rows(make):
    """A row for each text."""
    return [make(number, text) for number, text in enumerate(TEXTS)]


def table(name, header, make, *words, delimiter=",", exit_code=0, first=None, count=None, **options):
    """A delimited file of a row a text."""
    content = delimited(header=header, rows=rows(make), delimiter=delimiter)
    if exit_code:
        return refused(name, content, exit_code, *words, **options)
    return read(name, content, [first] if first else [], *words, count=count or len(TEXTS), **options)


def lines(name, make, *words, exit_code=0, first=None, count=None, **options):
    """JSON lines of an object a text."""
    content = json_lines(*rows(make))
    if exit_code:
        return refused(name, content, exit_code, *words, **options)
    return read(name, content, [first] if first else [], *words, count=count or len(TEXTS), **options)


def folders(**texts):
    """A folder with a folder for each label, of files by name."""
    def write(path):
        for label, names in texts.items():
            (path / label).mkdir(parents=True)
            for name in names:
                (path / label / name).write_text(f"{label} {name} in words", encoding="utf-8")
    return write


PAIRS = [
    table("mrpc.txt", ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
          lambda number, text: (number % 2, number, number + 90, text, f"{text}, he said"), "pair = #2 String",
          'not used: "#1 ID", "#2 ID"', delimiter="\t", first={"text": TEXTS[0], "pair": f"{TEXTS[0]}, he said"}),
    table("qnli.tsv", ("index", "question", "sentence", "label"),
          lambda number, text: (number, f"{text}?", text, ("entailment", "not_entailment")[number % 2]),
          "pair = sentence", delimiter="\t", first={"text": f"{TEXTS[0]}?", "pair": TEXTS[0]}),
    lines("snli.jsonl", lambda number, text: {
        "gold_label": ("-", "neutral", "entailment", "contradiction")[number % 4], "sentence1": text,
        "sentence2": f"{text}?"}, "rows that are not labelled: 8 with '-'", count=24),
    table("nli-numbers.csv", ("premise", "hypothesis", "label"),
          lambda number, text: (text, f"{text}?", number % 4 - 1), "not labelled: 8 with '-1'", count=24),
    table("polarity.csv", ("text", "label"), lambda number, text: (text, number % 3 - 1), "'-1' 11"),
    table("en-de.tsv", ("en", "de"), lambda number, text: (text, f"das {text}"), "--task translation --source en",
          delimiter="\t", exit_code=2),
]
NUMBERS = [
    table("comma-target.csv", ("text", "target"), lambda number, text: (text, f"{number % 4},5"), "E305",
          "Write it with a point: 0.5", delimiter=";", exit_code=65),
    table("comma-among-whole.csv", ("text", "target"), lambda number, text: (text, ("2", "1,5")[number % 2]), "E305",
          delimiter=";", exit_code=65, task="regression"),
    table("dollars.csv", ("text", "price"), lambda number, text: (text, f"${number % 4}.99"), "E305",
          "Write the number alone: 0.99", exit_code=65),
    table("preis.csv", ("text", "Preis"), lambda number, text: (text, f"{number % 4},50 €"), "--target Preis",
          delimiter=";", exit_code=2),
    table("spss.csv", ("RESPID", "Q1_open", "WEIGHT"), lambda number, text: (number, text, f"0.{number + 11}"),
          exit_code=2),
    lines("overall.jsonl", lambda number, text: {"reviewText": text, "summary": text[:9], "overall": number % 5 + 1.0},
          "target = overall"),
    table("tweet-ids.tsv", None, lambda number, text: (264183816548130816 + number, ("good", "bad")[number % 2], text),
          "label = 1", delimiter="\t", settings={"data.header": False}),
]
CHOICES = [
    lines("unlabelled-choices.jsonl", lambda number, text: {
        "ctx": text, "endings": ["a b", "c d", "e f"], "label": number % 4 - 1}, "not labelled: 8 with '-1'", count=24),
    lines("sciq.jsonl", lambda number, text: {
        "question": f"{text}?", "distractor3": "oil", "distractor1": "tin", "distractor2": "zinc",
        "correct_answer": "iron", "support": text}, "every column is used",
          first={"choices": ["iron", "oil", "tin", "zinc"], "answer": "iron"}),
    lines("trivia.jsonl", lambda number, text: {
        "question": f"{text}?", "correct_answer": "sun", "incorrect_answers": ["moon", "star"]},
          first={"choices": ["moon", "star", "sun"], "answer": "sun"}),
    read("dream.json", json.dumps([[["W: a day", "M: a night"], [{"question": "What?", "choice": ["x", "y", "z"],
                                                                 "answer": "y"}], f"4-{number}"]
                                   for number in range(6)]),
         [{"context": "W: a day\nM: a night What?", "choices": ["x", "y", "z"], "answer": "y"}], "DREAM layout", count=6),
    table("mmlu.csv", None, lambda number, text: (f"{text}?", "a1", "b1", "c1", "d1", "ABCD"[number % 4]),
          "choices = 1 + 2 + 3 + 4", settings={"data.header": False}, first={"choices": ["a1", "b1", "c1", "d1"]}),
    lines("triviaqa.jsonl", lambda number, text: {"Question": f"{text}?", "Answer": {"Value": "x"}}, exit_code=2),
]
CHATS = [
    lines("dpo.jsonl", lambda number, text: {"prompt": text, "chosen": "a", "rejected": "b"}, "holds preferences",
          "--prompt prompt --response chosen", exit_code=2),
    lines("dpo-messages.jsonl", lambda number, text: {
        "prompt": text, "chosen": [{"role": "user", "content": text}, {"role": "assistant", "content": "a"}],
        "rejected": []}, "--messages chosen", exit_code=2),
    lines("chosen-messages.jsonl", lambda number, text: {
        "prompt": text, "chosen": [{"role": "user", "content": text}, {"role": "assistant", "content": "a"}]},
          'columns: messages = chosen; not used: "prompt"', task="language-model", columns={"messages": "chosen"}),
    lines("oasst.jsonl", lambda number, text: {
        "message_id": f"m{number}", "parent_id": None if number % 4 == 0 else f"m{number // 4 * 4}" if number % 4 < 3
        else f"m{number - 1}", "text": text, "role": "assistant" if number % 4 in (1, 2) else "prompter",
        "rank": None if number % 4 in (0, 3) else number % 4 - 1},
          "16 messages of other threads", count=8,
          first={"messages": [{"role": "user", "content": TEXTS[0]}, {"role": "assistant", "content": TEXTS[1]}]}),
]
EXPORTS = [
    read("surveymonkey.csv", delimited(
        header=("Respondent ID", "Collector ID", "What did you like?", "Will you come again?"),
        rows=[("", "", "Open-Ended Response", "Response"), *rows(lambda number, text: (
            number, 7, text, ("Likely", "Unlikely")[number % 2]))]),
         [{"text": TEXTS[0], "label": "Likely"}], "SurveyMonkey export", "1 a further line of the header",
         count=len(TEXTS)),
    read("qualtrics.csv", delimited(header=("StartDate", "Q1", "Q2"), rows=[
        ("Start Date", "What did you like?", "Again?"),
        tuple(json.dumps({"ImportId": name}) for name in ("startDate", "QID1_TEXT", "QID2")),
        *rows(lambda number, text: ("2024-01-02", text, ("Yes", "No")[number % 2]))]),
         [{"text": TEXTS[0], "label": "Yes"}], "Qualtrics export", "2 a further line", count=len(TEXTS)),
    table("label-studio-annotators.csv", ("annotation_id", "annotator", "id", "lead_time", "sentiment", "text"),
          lambda number, text: (number, number % 2 + 1, number // 2, 1.5, ("good", "bad", "bad")[number % 3],
                                TEXTS[number // 2]), "of several annotators the first is taken",
          "16 annotated again", '"annotator"', count=16),
    read("haystack.json", json.dumps({"data": [{"paragraphs": [{"context": "He lives, London is big.", "qas": [
        {"question": f"Where {number}?", "id": number, "answers": [
            {"text": "London", "answer_start": 10, "answer_category": None, "document_id": 2}]}]}]}
        for number in range(6)]}), [], "Haystack's annotation tool", count=6),
    refused("r-row-names.tsv", "text\tlabel\n" + "".join(f"{number + 1}\t{text}\t{number % 2}\n"
                                                         for number, text in enumerate(TEXTS)), 65, "E104",
            "col.names=NA"),
    refused("lines-above-the-names.csv", "A report of May\n\ntext,label\n" + "".join(
        f"{text},{number % 2}\n" for number, text in enumerate(TEXTS)), 65, "E104", "stand in a later line"),
    refused("memory.tmx", '<?xml version="1.0"?>\n<tmx version="1.4"><body/></tmx>\n', 65, "E112", "TMX"),
    refused("dump.sql", "-- a dump\nCREATE TABLE `rows` (id int);\nINSERT INTO `rows` VALUES (1,'a');\n", 65, "E112",
            "SQL dump"),
    refused("tweets.js", 'window.YTD.tweets.part0 = [{"tweet": {"full_text": "a b"}}]', 65, "E112", "Twitter"),
    OddFile("imdb", folders(pos=["1_7.txt", "2_8.txt"], neg=["1_2.txt", "2_1.txt"], unsup=["1_0.txt"]), 0,
            ("1 in unsup/", "'neg' 2, 'pos' 2"), count=4),
    OddFile("newsgroups", folders(space=["51001", "51002"], graphics=["37261", "37262"]), 0, ("'graphics' 2",), count=4),
]
FILES = [*PAIRS, *NUMBERS, *CHOICES, *CHATS, *EXPORTS]
