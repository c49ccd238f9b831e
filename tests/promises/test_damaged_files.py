"""Any file that headstart leaves may be damaged: every command then answers as before, or refuses with words."""

import json
import random
import shutil
from pathlib import Path

import pytest
import tiny
from conftest import QUICK_FLAGS, review_rows, write_csv

import headstart as package
from headstart.cli.main import run_guarded
from headstart.errors import Exit, UserError
from headstart.files import sha256
from headstart.progress import StepFinished

QUICK_DAMAGES, ALL_DAMAGES = 60, 500
REFUSALS = {Exit.DATA, Exit.NO_INPUT, Exit.UNAVAILABLE, Exit.EXISTS, Exit.DISK, Exit.REFUSED, Exit.SETTINGS, Exit.USAGE}
DOCUMENTS = {"roses.md": "# Roses\n\nMy sister waters the roses before noon. The roses were red.\n",
             "bank.txt": "The old captain counts the river bank in 1984.\n\nNobody here forgets a broken card.\n"}


class Stop:
    """Ends a run at a step, as a signal would."""

    def receive(self, event):
        if isinstance(event, StepFinished) and event.step == 7:
            raise UserError("stopped", fix="resume it", exit=Exit.INTERRUPTED)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A finished run, an interrupted one, a language model's, an index; and what commands say of them undamaged."""
    home = tmp_path_factory.mktemp("damage")
    reviews = write_csv(home / "reviews.csv", review_rows(60))
    (home / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in tiny.texts(30)))
    write_csv(home / "new.csv", [(text,) for text, _ in review_rows(6, seed=1)], ("text",))
    (home / "notes").mkdir()
    for name, text in DOCUMENTS.items():
        (home / "notes" / name).write_text(text)
    bert = tiny.model_folder("bert", home / "bert")
    gpt2 = tiny.model_folder("gpt2", home / "gpt2", "causal-language-model")
    flags = [*QUICK_FLAGS, "--quiet"]
    for source, task, model, to in ((reviews, "text-classification", bert, "run"),
                                    (home / "texts.jsonl", "language-model", gpt2, "writer")):
        assert run_guarded(["finetune", str(source), "--task", task, "--model", str(model), "--to", str(home / to),
                            *flags]) == 0
    for to, reporter in (("whole", package.Reporter()), ("half", package.Reporter(Stop()))):
        try:
            package.finetune(str(reviews), model=str(bert), to=str(home / to), reporter=reporter, epochs=2, batch_size=8,
                               save_every=3, resamples=20, baselines=False)
        except UserError as error:
            assert error.exit == Exit.INTERRUPTED
    assert run_guarded(["index", str(home / "notes"), "--to", str(home / "index"), "--model", str(bert), "--quiet"]) == 0
    shutil.copytree(home / "run" / "model", home / "model")
    return home


def commands(name, folder, home):
    """What a user may do with a folder, and the file whose bytes say what came out (None: standard output)."""
    out = folder.parent / "out.jsonl"
    if name == "half":
        return [(["resume", folder, "--quiet"], folder / "model" / "model.safetensors")]
    if name == "index":
        return [(["ask", folder, "who waters the roses?", "--json", "--quiet"], None)]
    if name == "writer":
        return [(["generate", folder, "the roses", "--set", "generation.max_new_tokens=4", "--quiet"], None)]
    if name == "model":
        return [(["embed", folder, home / "new.csv", "--to", out, "--text", "text", "--quiet"], out)]
    return [(["predict", folder, home / "new.csv", "--to", out, "--quiet"], out),
            (["inspect", folder, "the roses", "--quiet"], None),
            (["evaluate", folder, home / "reviews.csv", "--json", "--quiet"], None)]


def outcome(arguments, output_path, capsys):
    """Exit code, what came out, and the words."""
    code = run_guarded([str(argument) for argument in arguments])
    stdout, stderr = capsys.readouterr()
    assert "Traceback" not in stderr
    answers = stdout if output_path is None else sha256(output_path) if output_path.exists() else ""
    return code, answers, stderr


JSON_VALUES = [None, -3, 0, 1e308, "x", [], {}, [[5]], True, 10**30, "\ud83d", {"a": {"b": []}}]


def damage_json(text, rng):
    """One value somewhere in a JSON text replaced by another, or taken away."""
    content = json.loads(text)
    node = content
    while isinstance(node, dict | list) and node:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.3:
            if rng.random() < 0.3 and isinstance(node, dict):
                del node[key]
            else:
                node[key] = rng.choice(JSON_VALUES)
            break
        node = node[key]
    return json.dumps(content)


def damage(path, rng):
    """Damage a file in one of the ways of disks, editors and people; says how."""
    content = path.read_bytes()
    ways = ["flip", "cut", "empty", "delete", "noise", "zeros"] + ["json"] * 4 * (path.suffix == ".json")
    way = rng.choice(ways)
    if way == "delete":
        path.unlink()
    elif way == "json":
        path.write_text(damage_json(content.decode(), rng))
    elif way in ("empty", "noise", "zeros"):
        path.write_bytes({"empty": b"", "noise": rng.randbytes(200), "zeros": bytes(len(content))}[way])
    elif content:
        place = rng.randrange(len(content))
        flipped = bytes([content[place] ^ 1 << rng.randrange(8)])
        path.write_bytes(content[:place] + (b"" if way == "cut" else flipped + content[place + 1:]))
    return way


def damage_and_try(seed, home, tmp_path, capsys, expected):
    rng = random.Random(seed)
    name = rng.choice(["run", "run", "half", "half", "half", "writer", "index", "index", "model"])
    folder = tmp_path / name
    shutil.copytree(home / name, folder)
    damaged = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    way = damage(damaged, rng)
    for number, (arguments, output_path) in enumerate(commands(name, folder, home)):
        code, answers, words = outcome(arguments, output_path, capsys)
        told = f"{way} of {damaged.relative_to(tmp_path)}, {arguments[0]}: {code} {words[-600:]}"
        if code == 0:
            assert answers == expected[name][number], f"another answer without a word: {told}"
        else:
            assert code in REFUSALS and words.strip(), told


@pytest.fixture(scope="module")
def expected(folders, tmp_path_factory):
    """What each command answers about the undamaged folders."""
    answers = {}
    for name in ("run", "half", "writer", "index", "model"):
        folder = tmp_path_factory.mktemp("undamaged") / name
        shutil.copytree(folders / name, folder)
        answers[name] = []
        for arguments, output_path in commands(name, folder, folders):
            import contextlib
            import io

            with contextlib.redirect_stdout(io.StringIO()) as stdout:
                assert run_guarded([str(argument) for argument in arguments]) == 0
            answers[name].append(stdout.getvalue() if output_path is None else sha256(Path(output_path)))
    assert answers["half"] == [sha256(folders / "whole" / "model" / "model.safetensors")]
    return answers


@pytest.mark.parametrize("seed", range(QUICK_DAMAGES))
def test_a_damaged_file_changes_no_answer_without_a_word(seed, folders, expected, tmp_path, capsys):
    damage_and_try(seed, folders, tmp_path, capsys, expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(QUICK_DAMAGES, ALL_DAMAGES))
def test_a_damaged_file_changes_no_answer_without_a_word_drawn_more_often(seed, folders, expected, tmp_path, capsys):
    damage_and_try(seed, folders, tmp_path, capsys, expected)
