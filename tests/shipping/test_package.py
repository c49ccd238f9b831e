"""`headstart package`: the steps of its Dockerfile are run here, one by one, and the server that they end in answers the
line of its README.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

TOKEN = "the-token-of-this-test"


@pytest.fixture(scope="module")
def box(trained_run, tmp_path_factory):
    """The folder of a trained run, as the command writes it."""
    from headstart.cli.main import run_guarded

    folder = tmp_path_factory.mktemp("box") / "Reviews box"
    assert run_guarded(["package", str(trained_run[0]), "--to", str(folder), "--name", "Reviews 2", "--quiet"]) == 0
    return folder


def steps(folder, name="Dockerfile"):
    """(instruction, rest) of a Dockerfile."""
    lines = (folder / name).read_text().splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]


def copied(folder, image):
    """What the COPY steps put into an image: nothing else is there."""
    for instruction, rest in steps(folder):
        if instruction == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (folder / source).is_dir():
                    shutil.copytree(folder / source, image / target)
                else:
                    (image / target).mkdir(exist_ok=True)
                    shutil.copy(folder / source, image / target)
    return image


def answered(folder, image, python):
    """What the README's line is answered by the Dockerfile's command, and what its probe says."""
    command = json.loads(dict(steps(folder))["CMD"])
    probe = json.loads(re.search(r"^HEALTHCHECK .* CMD (.*)$", (folder / "Dockerfile").read_text(), re.M)[1])
    with subprocess.Popen([str(python), *(part.replace("/app/", f"{image}/") for part in command[1:-1]), "0"], cwd=image,
                          text=True, stderr=subprocess.PIPE,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HEADSTART_TOKEN": TOKEN,
                               "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}) as server:
        try:
            lines = []
            while not lines or "ready at" not in lines[-1]:
                lines.append(server.stderr.readline())
                assert server.poll() is None and lines[-1], "".join(lines)
            port = re.search(r":(\d+)/", lines[-1])[1]
            curl = re.search(r"^curl .*$", (folder / "README.md").read_text(), re.M)[0].replace(":8000", f":{port}")
            body = subprocess.run(curl, shell=True, capture_output=True, text=True, timeout=60,
                                  env=os.environ | {"HEADSTART_TOKEN": TOKEN}, check=True).stdout
            alive = [str(python), *(part.replace(":8000", f":{port}") for part in probe[1:])]
            assert subprocess.run(alive, timeout=60).returncode == 0
            server.send_signal(signal.SIGTERM)
            server.stderr.read()
            assert server.wait(30) == 0
            assert subprocess.run(alive, timeout=60, stderr=subprocess.DEVNULL).returncode != 0
            return json.loads(body)
        finally:
            server.kill()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_copied_folder_serves_the_model_and_writes_nothing(box, tmp_path):
    image = tmp_path / "app"
    image.mkdir()
    before = sorted(path.relative_to(image) for path in copied(box, image).rglob("*"))
    answer = answered(box, image, sys.executable)
    assert answer["model"] == "reviews-2" and answer["predictions"][0]["prediction"] in ("good", "bad", "mixed")
    assert sorted(path.relative_to(image) for path in image.rglob("*")) == before
    here = subprocess.run([sys.executable, "-c", "import headstart; print(headstart.__file__)"], cwd=image, text=True,
                          capture_output=True, check=True).stdout
    assert Path(here.strip()).is_relative_to(image)  # it was the folder's own headstart that answered


def test_the_requirements_are_what_is_installed_here_and_all_that_is_needed(box):
    lines = [line for name in ("requirements.txt", "requirements-torch.txt")
             for line in (box / name).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in lines)
    names = {line.partition("==")[0] for line in lines}
    assert {"torch", "transformers", "tokenizers", "safetensors", "numpy", "uvicorn", "starlette", "h11"} <= names
    assert not names & {"pytest", "mypy", "peft", "headstart", "matplotlib"}
    plan = subprocess.run([sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--disable-pip-version-check",
                           "-r", box / "requirements.txt", "-r", box / "requirements-torch.txt"], text=True,
                          capture_output=True, timeout=120)
    assert plan.returncode == 0 and "Would install" not in plan.stdout, plan.stderr


def test_no_row_and_no_checkpoint_is_in_the_folder(box, trained_run):
    texts = [line.rpartition(",")[0].encode() for line in trained_run[1].read_text().splitlines()[1:]]
    for path in box.rglob("*"):
        assert "checkpoint" not in path.name or path.is_relative_to(box / "headstart")
        if path.is_file():
            content = path.read_bytes()
            assert not any(text in content for text in texts), path
    assert {path.name for path in (box / "model").iterdir()} == {path.name for path in
                                                                  (trained_run[0] / "model").iterdir()}


def test_the_container_has_no_rights_and_three_probes(box):
    for name, index in (("Dockerfile", "ARG TORCH_INDEX\n"), ("Dockerfile.gpu", None)):
        kinds, text = [kind for kind, _ in steps(box, name)], (box / name).read_text()
        assert kinds[0] == "FROM" and kinds[-1] == "CMD" and kinds.index("USER") < kinds.index("CMD")
        assert dict(steps(box, name))["USER"].split(":")[0].isdecimal()
        assert (index in text) if index else ("--index-url" not in text)
        assert "TOKEN=" not in text and "HEALTHCHECK" in text
    service = yaml.safe_load((box / "compose.yaml").read_text())["services"]["reviews-2"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["ports"][0].startswith("127.0.0.1:")
    assert yaml.safe_load((box / "compose.gpu.yaml").read_text())["services"]["reviews-2"]["build"]["dockerfile"] in {
        path.name for path in box.iterdir()}
    deployment, kubernetes_service = yaml.safe_load_all((box / "kubernetes.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")} == {"/ready",
                                                                                                            "/health"}
    assert container["securityContext"]["readOnlyRootFilesystem"] and kubernetes_service["spec"]["selector"] == {
        "app": "reviews-2"}


def test_what_is_in_the_way_or_no_model_is_told(headstart, box, trained_run, tmp_path):
    other, plain = tmp_path / "other", tmp_path / "plain"
    other.mkdir(), (other / "letter.txt").write_text("mine")
    rows = shutil.copytree(trained_run[0] / "model", plain)
    (rows / "train.csv").write_text("text,label\n")
    for arguments, exit_code, word in (
            ((trained_run[0], "--to", box), 73, "--overwrite"), ((trained_run[0], "--to", other), 73, "other files"),
            ((trained_run[0], "--to", other, "--overwrite"), 73, "other files"),
            ((tmp_path / "none", "--to", tmp_path / "x"), 66, "none"), ((other, "--to", tmp_path / "x"), 66, "config.json"),
            ((rows, "--to", tmp_path / "x"), 77, "train.csv")):
        code, stdout, stderr = headstart("package", *arguments)
        assert (code, stdout) == (exit_code, "") and word in stderr, stderr
    assert not (tmp_path / "x").exists() and (other / "letter.txt").read_text() == "mine"
    code, stdout, stderr = headstart("package", trained_run[0], "--to", box, "--name", "Reviews 2", "--overwrite")
    assert code == 0 and stdout == f"{box}\n" and "dev rows" in stderr


@pytest.mark.slow
def test_every_step_of_the_dockerfile_runs_in_an_empty_environment(box, tmp_path):
    image, environment = tmp_path / "app", tmp_path / "venv"
    image.mkdir()
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    copied(box, image)
    for instruction, rest in steps(box):
        if instruction == "RUN" and shlex.split(rest)[0] == "pip":
            line = rest.replace("pip", f"{shlex.quote(str(python))} -m pip --disable-pip-version-check", 1)
            done = subprocess.run(["sh", "-c", line], cwd=image, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    assert answered(box, image, python)["model"] == "reviews-2"
