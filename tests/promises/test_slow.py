"""Checks that take minutes, or need a browser: `make verify` runs them."""

import json
import resource
import shutil
import subprocess
import sys

import pytest
import tiny
from conftest import review_rows, write_csv

pytestmark = pytest.mark.slow
ROWS = 1_000_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars")


def finetuned_run(folder):
    model = tiny.model_folder("bert", folder / "bert")
    data = write_csv(folder / "reviews.csv", review_rows())
    subprocess.run([sys.executable, "-m", "headstart", "finetune", str(data), "--model", str(model), "--to",
                    str(folder / "run"), "--epochs", "2",
                    "--set", "evaluation.resamples=20", "--quiet", "--folds", "0"], check=True, stdout=subprocess.DEVNULL)
    return folder / "run"


def test_a_million_rows_are_predicted_in_order_in_little_memory(tmp_path):
    run = finetuned_run(tmp_path)
    with (tmp_path / "many.csv").open("w", encoding="utf-8") as file:
        file.write("id,text\n")
        file.writelines(f"{index},the roses {index % 977}\n" for index in range(ROWS))
    peak_before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run([sys.executable, "-m", "headstart", "predict", str(run), str(tmp_path / "many.csv"), "--text",
                    "text", "--to", str(tmp_path / "answers.jsonl"), "--quiet"], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with (tmp_path / "answers.jsonl").open(encoding="utf-8") as file:
        assert [int(json.loads(line)["id"]) for line in file] == list(range(ROWS))
    print(f"peak {peak / 1024:.0f} MB (before {peak_before / 1024:.0f})")
    assert peak <= 1.5 * 2**20


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_report_opens_in_a_browser(tmp_path):
    run = finetuned_run(tmp_path)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    process = subprocess.run([CHROMIUM, *FLAGS, profile, "--enable-logging=stderr", "--dump-dom",
                              f"file://{run / 'report.html'}"],
                             capture_output=True, text=True, timeout=120, check=True)
    scores = json.loads((run / "scores.json").read_text())
    assert f"{scores['test']['macro_f1']['value']:.4f}" in process.stdout and "confusion" in process.stdout.lower()
    assert "Uncaught" not in process.stderr and "http://" not in process.stdout.replace(
        "http://www.w3.org", "") and "https://" not in process.stdout
    picture = tmp_path / "report.png"
    subprocess.run([CHROMIUM, *FLAGS, profile, f"--screenshot={picture}", "--window-size=1200,2000",
                    f"file://{run / 'report.html'}"],
                   capture_output=True, timeout=120, check=True)
    assert picture.stat().st_size > 20_000


PUBLISHED = """
import resource
import sys
import torch
from headstart.models.transfo_xl.config import TransfoXLConfig
from headstart.models.transfo_xl.heads import TransfoXLLMHeadModel

torch.manual_seed(0)
model = TransfoXLLMHeadModel(TransfoXLConfig()).eval()
print(sum(weight.numel() for weight in model.parameters()))
ids = torch.randint(0, 267_735, (1, 64))
with torch.inference_mode():
    first = model(ids, labels=ids)
    again = model(ids, mems=first.mems, labels=ids)
assert torch.isfinite(first.loss).all() and torch.isfinite(again.loss).all()
assert float((again.loss - first.loss).abs().max()) > 0, "memories change nothing"
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_transformer_xl_at_its_published_size_runs_in_8_gb():
    process = subprocess.run([sys.executable, "-c", PUBLISHED], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    count, gigabytes = process.stdout.split()
    print(f"{count} parameters, {float(gigabytes):.2f} GB")
    assert int(count) == 285_205_322 and float(gigabytes) <= 8
