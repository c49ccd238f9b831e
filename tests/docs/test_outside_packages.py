"""The pages on adding something are run as packages of somebody else: no installer, no network, nothing of ours changed."""

import json
import shlex
import shutil

import pytest
import tiny
from conftest import write_csv
from outside import ROOT, blocks, package_of_page, prints, sessions

PAGES = {name: ROOT / "docs" / f"add-a-{name}.md" for name in ("task", "reader", "metric", "family")}


def run_sessions(package, page, folder, extra=()):
    """Every command of a page, beside what the page says it prints."""
    for command, expected in sessions(page):
        words = shlex.split(command)
        if words[0] == "cat":
            (folder / words[1]).write_text(expected, encoding="utf-8")
            continue
        process = package.run([*words, *(extra if words[1] == "finetune" else ())], folder)
        assert process.returncode == 0, process.stdout + process.stderr
        for output in (process.stdout, process.stderr, process.stderr + process.stdout):
            if prints(expected, output):
                break
        else:
            pytest.fail(f"$ {command}\nthe page says:\n{expected}\nit prints:\n{process.stdout}\n{process.stderr}")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_its_package_and_what_its_commands_print(name):
    project = blocks(PAGES[name], "toml")
    assert len(project) == 1 and "headstart" in project[0]
    assert len(sessions(PAGES[name])) >= 2
    assert all(line == line.rstrip() for line in PAGES[name].read_text(encoding="utf-8").splitlines())


def test_the_add_a_reader_page_adds_a_reader(tmp_path):
    package = package_of_page(PAGES["reader"], tmp_path / "site")
    run_sessions(package, PAGES["reader"], tmp_path)


def test_the_add_a_metric_page_adds_metrics(tmp_path, tiny_bert):
    package = package_of_page(PAGES["metric"], tmp_path / "site")
    texts = tiny.texts(60, seed=4)
    write_csv(tmp_path / "ratings.csv", [(text, 1 + index % 5) for index, text in enumerate(texts)], ("text", "stars"))
    run_sessions(package, PAGES["metric"], tmp_path,
                 ["--task", "text-classification", "--model", tiny_bert, "--epochs", "1", "--set", "evaluation.resamples=10",
                  "--set", "evaluation.explained_errors=0"])
    scores = json.loads((tmp_path / "ratings-run" / "scores.json").read_text(encoding="utf-8"))
    assert scores["best"]["score"] == "stars_off"
    score = scores["test"]["quadratic_kappa"]
    assert "star_scores:KAPPA of the package star-scores 1.0" in score["signature"] and score["higher_is_better"]
    assert score["value"] is not None or score["reason"]
    assert scores["test"]["stars_off"]["low"] <= scores["test"]["stars_off"]["value"] <= scores["test"]["stars_off"]["high"]


def test_the_add_a_family_page_adds_a_family(tmp_path):
    import torch
    import transformers

    package = package_of_page(PAGES["family"], tmp_path / "site")
    shutil.copy(tmp_path / "site" / "test_ernie_family.py", tmp_path)
    tokenizer = tiny.tokenizer("bert")
    torch.manual_seed(3)
    config = transformers.ErnieConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=64, max_position_embeddings=tiny.POSITIONS, num_labels=3,
        initializer_range=0.3)
    for folder, kind in (("ernie-model", transformers.ErnieForSequenceClassification), ("base", transformers.ErnieModel)):
        kind(config).save_pretrained(tmp_path / folder)
        tokenizer.save_pretrained(tmp_path / folder)
    run_sessions(package, PAGES["family"], tmp_path)
    rows = [(text, "long" if len(text) > 60 else "short") for text in tiny.texts(40, seed=3)]
    write_csv(tmp_path / "rows.csv", rows)
    process = package.run(["headstart", "finetune", "rows.csv", "--model", "base", "--to", "run", "--epochs", "1",
                           "--set", "evaluation.resamples=5"], tmp_path)
    assert process.returncode == 0, process.stderr


def test_the_add_a_task_page_adds_a_task(tmp_path):
    package = package_of_page(PAGES["task"], tmp_path / "site")
    texts = [(text, "long" if len(text) > 60 else "short") for text in tiny.texts(60, seed=3)]
    data = write_csv(tmp_path / "texts.csv", texts, ("text", "size"))
    run_sessions(package, PAGES["task"], tmp_path)
    (sample,) = (block for block in blocks(PAGES["task"], "python") if "Sample(" in block)
    contract = (ROOT / "tests" / "promises" / "test_task_contract.py").read_text(encoding="utf-8")
    assert "\n}\nEVERY" in contract
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract" / "test_task_contract.py").write_text(
        contract.replace("\n}\nEVERY", f"\n{sample}}}\nEVERY"), encoding="utf-8")
    for name in ("tiny.py", "tiny_writers.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "contract")
    process = package.run(["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_task_contract.py", "-k",
                           "length-guess or sample"], tmp_path / "contract")
    assert process.returncode == 0, process.stdout + process.stderr
    model = tiny.model_folder("bert", tmp_path / "bert")
    process = package.run(["headstart", "finetune", data, "--task", "length-guess", "--model", model, "--to", "run",
                           "--epochs", "1", "--set", "evaluation.resamples=10"], tmp_path)
    assert process.returncode == 0, process.stderr
    process = package.run(["headstart", "evaluate", "run", data, "--json"], tmp_path)
    assert process.returncode == 0 and "accuracy" in process.stdout
