"""`headstart push`: what arrives at the hub, what never leaves, and every refusal in words."""

import json
import shutil
import socket

import pytest
from hub_server import TOKEN, Repository, running_hub

from headstart.api.finetune import Run
from headstart.api.model import load

NAME = "my-team/reviews"
# The hub's library uploads in a way that its transport calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def arrived(hub, folder, branch="main"):
    """The files of a branch as a folder."""
    for name, content in hub.repositories[NAME].branches[branch].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_what_arrives_is_the_model_and_nothing_of_the_rows(headstart, hub, trained_run, tmp_path):
    run, data = trained_run
    code, stdout, stderr = headstart("push", run, NAME)
    assert (code, stdout) == (0, f"{hub.url}/{NAME}\n"), stderr
    repository = hub.repositories[NAME]
    files = repository.branches["main"]
    assert repository.private and repository.messages == ["A model made with headstart"] and "private" in stderr
    assert set(files) == {path.name for path in (run / "model").iterdir()} | {".gitattributes"}
    texts = [line.rpartition(",")[0] for line in data.read_text().splitlines()[1:]]
    assert json.loads((run / "model" / "headstart.json").read_text())["golden"]  # they are there, and stay here
    for name, content in files.items():
        assert not any(text.encode() in content for text in texts), name
    assert "dev rows of headstart.json stay here" in stderr
    assert files["README.md"].startswith(b"---\n") and files["model.safetensors"]
    pushed, local = load(str(arrived(hub, tmp_path / "there")), device="cpu"), load(str(run), device="cpu")
    assert [*pushed.predict(texts[:9])] == [*local.predict(texts[:9])]
    assert pushed.predictor().fingerprint() == local.predictor().fingerprint()


def test_the_same_in_python_with_a_branch_a_message_and_the_examples(hub, trained_run):
    address = Run(trained_run[0]).push(NAME, public=True, message="first try", revision="v1", with_examples=True)
    repository = hub.repositories[NAME]
    assert address == f"{hub.url}/{NAME}/tree/v1" and not repository.private and repository.messages == ["first try"]
    assert json.loads(repository.branches["v1"]["headstart.json"])["golden"]
    assert set(repository.branches["main"]) == {".gitattributes"}


def test_a_model_that_is_there_is_replaced_only_when_it_is_said(headstart, hub, trained_run):
    old = {"config.json": b"{}", "model-00001-of-00002.safetensors": b"old", "pytorch_model.bin": b"old",
           "LICENSE": b"mine", "onnx/config.json": b"{}"}
    repository = hub.repositories[NAME] = Repository(True, old)
    code, _, stderr = headstart("push", trained_run[0], NAME)
    assert code == 73 and "--overwrite" in stderr and repository.messages == []
    code, _, stderr = headstart("push", trained_run[0], NAME, "--overwrite")
    files = repository.branches["main"]
    assert code == 0 and "model-00001-of-00002.safetensors, pytorch_model.bin" in stderr
    assert "pytorch_model.bin" not in files and files["LICENSE"] == b"mine" and "onnx/config.json" in files
    assert headstart("push", trained_run[0], NAME, "--revision", "v2")[0] == 73
    del repository.branches["main"]["config.json"]
    assert headstart("push", trained_run[0], NAME, "--revision", "v3")[0] == 0


def test_a_public_repository_is_not_written_unasked(headstart, hub, trained_run):
    hub.repositories[NAME] = Repository(False)
    code, _, stderr = headstart("push", trained_run[0], NAME)
    assert code == 77 and "--public" in stderr and set(hub.repositories[NAME].branches["main"]) == {".gitattributes"}
    assert headstart("push", trained_run[0], NAME, "--public")[0] == 0
    hub.repositories[NAME] = Repository(True)
    code, _, stderr = headstart("push", trained_run[0], NAME, "--public")
    assert code == 0 and "it stays so" in stderr and hub.repositories[NAME].private


@pytest.mark.parametrize("name", ["rows.csv", "train.jsonl.gz", "sub/table.parquet", "rows.json"])
def test_rows_beside_the_model_are_refused(headstart, hub, trained_run, tmp_path, name):
    folder = shutil.copytree(trained_run[0] / "model", tmp_path / "model")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text('[{"text": "a secret"}]')
    code, _, stderr = headstart("push", folder, NAME)
    assert code == 77 and f"holds rows: {name}" in stderr and hub.asked == []


def test_other_files_beside_the_model_stay_and_are_named(headstart, hub, trained_run, tmp_path):
    folder = shutil.copytree(trained_run[0] / "model", tmp_path / "model")
    (folder / "notes.txt").write_text("a secret")
    (folder / "pytorch_model.bin").write_text("pickled")
    code, _, stderr = headstart("push", folder, NAME)
    assert code == 0 and "left out, as no model needs it: notes.txt, pytorch_model.bin" in stderr
    assert not {"notes.txt", "pytorch_model.bin"} & set(hub.repositories[NAME].branches["main"])


def test_what_is_no_finished_model_is_told(headstart, hub, trained_run, tmp_path):
    unfinished = shutil.copytree(trained_run[0], tmp_path / "unfinished")
    (unfinished / "report.html").unlink()
    begun, changed, bare, plain = (tmp_path / name for name in ("begun", "changed", "bare", "plain"))
    begun.mkdir(), (begun / "settings.toml").write_text(""), bare.mkdir()
    shutil.copytree(trained_run[0] / "model", changed)
    (changed / "config.json").write_text("{}")
    shutil.copytree(trained_run[0] / "model", plain)
    (plain / "headstart.json").unlink()
    no_card = shutil.copytree(trained_run[0] / "model", tmp_path / "no-card")
    (no_card / "README.md").unlink()
    cases = [((unfinished,), 66, "headstart resume"), ((begun,), 66, "headstart resume"),
             ((tmp_path / "nothing",), 66, "no folder"), ((bare,), 66, "not a model that headstart saved"),
             ((plain,), 66, "not a model that headstart saved"), ((changed,), 69, "config.json is changed"),
             ((no_card,), 66, "no model card"), (("distilbert-base-cased",), 66, "no folder")]
    for arguments, exit_code, word in cases:
        code, stdout, stderr = headstart("push", *arguments, NAME)
        assert (code, stdout) == (exit_code, "") and word in stderr, stderr
    for name in ("reviews", "a/b/c", "my team/x", "a/..", "../x", ""):
        code, _, stderr = headstart("push", trained_run[0], name)
        assert code == 2 and "OWNER/NAME" in stderr
    assert headstart("push", trained_run[0], NAME, "--revision", "../x")[0] == 2
    assert headstart("push", trained_run[0], NAME, "--private", "--public")[0] == 2
    assert hub.asked == []


def test_what_the_hub_refuses_is_told(headstart, hub, trained_run, monkeypatch, tmp_path):
    run = trained_run[0]
    for start, status, word in (("/api/repos/create", 403, "may not write"), ("/api/repos/create", 409, "Push again"),
                                (f"/api/models/{NAME}/commit", 412, "changed meanwhile"),
                                (f"/api/models/{NAME}/commit", 413, "status 413"), ("/upload/", 403, "may not write")):
        hub.refuse = {start: status}
        code, stdout, stderr = headstart("push", run, NAME)
        assert (code, stdout) == (73 if status in (409, 412) else 69, "") and word in stderr and "you may not" in stderr
    hub.refuse, hub.ignored = {}, ("config.json",)
    code, _, stderr = headstart("push", run, NAME)
    assert code == 69 and "lacks config.json" in stderr
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    code, _, stderr = headstart("push", run, NAME)
    assert code == 69 and "does not know the token" in stderr and "hf_wrong" not in stderr
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    hub.asked.clear()
    code, _, stderr = headstart("push", run, NAME)
    assert code == 69 and "hf auth login" in stderr and hub.asked == []


def test_without_a_network_nothing_is_waited_for(headstart, hub, trained_run, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free}")
    code, stdout, stderr = headstart("push", trained_run[0], NAME)
    assert (code, stdout) == (69, "") and "cannot be reached" in stderr
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, _, stderr = headstart("push", trained_run[0], NAME)
    assert code == 69 and "HF_HUB_OFFLINE" in stderr
