"""CoNLL files in every order of columns: words and tags are found, or asked about, and what was taken is told."""

import random

import pytest

from headstart.data.examples import read_examples
from headstart.data.table import open_table
from headstart.errors import UserError
from headstart.settings import Data
from headstart.tasks.token_tagging.task import Settings, TokenTagging

WORDS = ("Anna lives in Oslo and Bo walks to the sea of Rome with a map , where O B I are letters while it rains 3 km far "
         "off the old road that nobody from York has seen since May").split()


def write(path, sentences, order, separator="\t", comment=None):
    """Sentences of words and tags as a file whose columns are in this order."""
    rng = random.Random(str(order))
    kinds = {word: rng.choice(["NN", "VB", "DT", "IN"]) for word in WORDS}
    blocks = []
    for number, (words, tags) in enumerate(sentences):
        lines = [comment.format(number=number)] if comment else []
        for index, (word, tag) in enumerate(zip(words, tags, strict=True), start=1):
            cells = {"word": word, "tag": tag, "number": str(index), "kind": kinds[word], "document": f"doc{number}",
                     "empty": "_", "phrase": rng.choice(["B-NP", "I-NP", "B-VP", "O"]),
                     "inner": "B-part" if tag != "O" and rng.random() < 0.05 else "O"}
            lines.append(separator.join(cells[name] for name in order))
        blocks.append("\n".join(lines) + "\n")
    path.write_text("\n".join(blocks))


def drawn_sentences(rng, scheme):
    """Sentences of words with tags of a scheme."""
    sentences = []
    for _ in range(rng.choice([4, 20, 60])):
        words = rng.sample(WORDS, rng.randint(2, 12))
        tags, index = ["O"] * len(words), 0
        while index < len(words):
            if rng.random() < 0.3 or not sentences:
                length = rng.randint(1, min(3, len(words) - index))
                kind = rng.choice(["-PER", "-LOC"]) if scheme != "lone" else ""
                tags[index:index + length] = [f"B{kind}", *[f"I{kind}"] * (length - 1)]
                index += length
            index += 1
        sentences.append((words, tags))
    return sentences


def test_columns_in_any_order_are_found_or_asked_about(tmp_path):
    path, decided = tmp_path / "a.conll", 0
    for seed in range(150):
        rng = random.Random(f"order:{seed}")
        further = rng.sample(["number", "kind", "document", "empty", "phrase", "inner"], rng.randint(0, 4))
        order = rng.sample(["word", "tag", *further], 2 + len(further))
        sentences = drawn_sentences(rng, rng.choice(["bio", "bio", "lone"]))
        write(path, sentences, order, rng.choice(["\t", " "]),
              rng.choice([None, "# sentence {number} of them all and more words than any line has", "#\thttp://{number}"]))
        expected = [(words, tags) for words, tags in sentences]
        right = {"word_column": order.index("word") + 1, "tag_column": order.index("tag") + 1}
        try:
            table = open_table(str(path), Data())
        except UserError as error:
            setting = "word_column" if "word_column" in error.fix else "tag_column"
            assert error.exit == 65 and f"data.{setting}={right[setting]}" in error.fix, (order, str(error))
            table = open_table(str(path), Data(**right))
        else:
            decided += 1
        assert [record.values for record in table] == expected, (seed, order, table.format)
        if len(order) > 2:
            assert f"words in column {right['word_column']}, tags in column {right['tag_column']}" in table.format
    assert decided >= 120


CONLL_U = ("# sent_id = 1\n# text = Das gibt's\n1\tDas\tdas\tPRON\tPDS\t_\t2\tnsubj\t_\t_\n"
           "2-3\tgibt's\t_\t_\t_\t_\t_\t_\t_\t_\n2\tgibt\tgeben\tVERB\tVVFIN\t_\t0\troot\t_\t_\n"
           "3\ts\tes\tPRON\tPPER\t_\t2\tobj\t_\t_\n3.1\tleer\tleer\tX\t_\t_\t_\t_\t_\t_\n")
FILES = {
    "CoNLL-2003": ("-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n",
                   [(["EU", "rejects"], ["B-ORG", "O"]), (["Peter"], ["B-PER"])]),
    "CoNLL-2002": ("El O\nAbogado B-PER\n\nMadrid B-LOC\n", [(["El", "Abogado"], ["O", "B-PER"]),
                                                             (["Madrid"], ["B-LOC"])]),
    "CoNLL-2000": ("He PRP B-NP\nreckons VBZ B-VP\nit PRP B-NP\n", [(["He", "reckons", "it"], ["B-NP", "B-VP", "B-NP"])]),
    "CoNLL-U": (CONLL_U, [(["Das", "gibt", "s"], ["PRON", "VERB", "PRON"])]),
    "Japanese characters": ("毎 B\n日 I\n新 B\n聞 I\n\n社 B\n", [(["毎", "日", "新", "聞"], ["B", "I", "B", "I"]),
                                                            (["社"], ["B"])]),
    "CRF++": ("毎\tk\tB\n日\tk\tI\n\n社\tk\tB\n", [(["毎", "日"], ["B", "I"]), (["社"], ["B"])]),
    "Chinese word segmentation": ("我 S\n喜 B\n欢 M\n你 E\n", [(["我", "喜", "欢", "你"], ["S", "B", "M", "E"])]),
    "MIT": ("B-genre\tsteamy\nO\tmovies\n\nO\tshow\nB-genre\tcomedy\n",
            [(["steamy", "movies"], ["B-genre", "O"]), (["show", "comedy"], ["O", "B-genre"])]),
    "parts of speech": ("the\tDT\ncat\tNN\nsat\tVB\n\na\tDT\ndog\tNN\n", [(["the", "cat", "sat"], ["DT", "NN", "VB"]),
                                                                         (["a", "dog"], ["DT", "NN"])]),
}


@pytest.mark.parametrize("layout", FILES)
def test_public_layouts_are_read(layout, tmp_path):
    text, expected = FILES[layout]
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    table = open_table(str(tmp_path / "a.conll"), Data())
    assert [record.values for record in table] == expected


@pytest.mark.parametrize("layout", ["MIT", "CRF++", "CoNLL-2003"])
def test_they_are_known_by_their_content_too(layout, tmp_path):
    text, expected = FILES[layout]
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert [record.values for record in open_table(str(tmp_path / "a.txt"), Data())] == expected


def test_two_layers_of_tags_are_asked_about_and_named(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("1\tAnna\tB-PER\tB-X\n2\tin\tO\tO\n3\tOslo\tB-LOC\tO\n")
    with pytest.raises(UserError) as error:
        open_table(str(path), Data())
    assert error.value.exit == 65 and "columns 3 and 4 may hold the tags" in error.value.message
    assert error.value.fix == "Say which: --set data.tag_column=3 or --set data.tag_column=4."
    assert open_table(str(path), Data(tag_column=4))[0].values[1] == ["B-X", "O", "O"]
    with pytest.raises(UserError, match=r"data\.tag_column is 5, but"):
        open_table(str(path), Data(tag_column=5))


def test_columns_of_a_table_are_not_named_by_number(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na b,c\n")
    with pytest.raises(UserError, match="are of CoNLL files"):
        open_table(str(tmp_path / "a.csv"), Data(word_column=1))


def test_lines_that_stand_for_no_word_are_counted(tmp_path):
    (tmp_path / "a.conllu").write_text(CONLL_U, encoding="utf-8")
    table = open_table(str(tmp_path / "a.conllu"), Data())
    assert table.counts["N114"] == 1 and "2 lines stand for several words" in table.findings[0].message
    assert "words in column 2, tags in column 4" in table.format


@pytest.mark.parametrize(("text", "spans"), [
    ("deep B\nneural I\nnets I\nwork O\n\nwe O\ngraph B\n", [[(0, 3, "entity")], [(1, 2, "entity")]]),
    ("deep I\nnets I\nwork O\n", [[(0, 2, "entity")]]),
    ("我 S\n喜 B\n欢 E\n", [[(0, 1, "entity"), (1, 3, "entity")]])])
def test_tags_without_a_type_are_of_one_type_which_is_told(text, spans, tmp_path):
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    reading = read_examples(TokenTagging(), str(tmp_path / "a.conll"), Data(), columns={}, training=True)
    assert [[(entity.begin, entity.end, entity.type) for entity in example.entities]
            for example in reading.examples] == spans
    assert "their only type is called 'entity'" in " ".join(finding.message for finding in reading.findings)
    assert reading.examples.task.settings.only_type == "entity"
    phrases = read_examples(TokenTagging(Settings(only_type="phrase")), str(tmp_path / "a.conll"), Data(), columns={},
                            training=True)
    assert {entity.type for example in phrases.examples for entity in example.entities} == {"phrase"}


def test_neighbours_of_one_type_are_one_entity_in_the_scheme_io(tmp_path):
    (tmp_path / "a.conll").write_text("Anna\tPER\nMay\tPER\nsaw\tO\nOslo\tLOC\n")
    for scheme, ends in (("auto", [1, 2, 4]), ("io", [2, 4])):
        reading = read_examples(TokenTagging(Settings(scheme=scheme)), str(tmp_path / "a.conll"), Data(), columns={},
                                training=True)
        assert [entity.end for entity in reading.examples[0].entities] == ends
