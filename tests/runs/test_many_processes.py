"""`headstart finetune --processes 2`: the run of one process, and a whole checkpoint whatever is killed."""

import builtins
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import QUICK_FLAGS, review_rows, write_csv

from headstart.cli import _launch
from headstart.errors import Exit, UserError
from headstart.progress import Reporter
from headstart.runs.run import finetune
from headstart.runs.signals import stop_signals
from headstart.settings.run_settings import RunSettings
from headstart.training.distributed import World
from headstart.training.open_world import one_fate, open_world

FLAGS = [*QUICK_FLAGS, "--set", "training.save_every=2"]


def started(*arguments):
    return subprocess.Popen([sys.executable, "-m", "headstart", *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "PYTHONWARNINGS": "error"})


def weights_hash(run):
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def processes_of(launcher):
    """The numbers of the processes that it started, in their order."""
    words = subprocess.run(["ps", "-o", "pid=", "--ppid", str(launcher.pid)], capture_output=True, text=True,
                           check=False).stdout.split()
    return sorted(map(int, words))


@pytest.fixture
def training(tiny_bert, tmp_path):
    path = write_csv(tmp_path / "reviews.csv", review_rows(240))
    return ["finetune", path, "--model", tiny_bert, *FLAGS, "--epochs", "6"]


def newest_step(run):
    """The step of the newest checkpoint; 0 where there is none."""
    return max((int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-??????")), default=0)


def wait_for_step(run, step, launcher, seconds=120):
    end = time.monotonic() + seconds
    while newest_step(run) < step:
        assert launcher.poll() is None, launcher.communicate()[1]
        assert time.monotonic() < end, f"step {step} did not come"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes by ps")
def test_killed_processes_end_the_others_and_the_run_goes_on_to_the_same_bits(training, tmp_path, headstart):
    run = tmp_path / "run"
    launcher = started(*training, "--to", run, "--processes", 2, "--max-restarts", 1)
    wait_for_step(run, 2, launcher)
    first = processes_of(launcher)
    assert len(first) == 2
    os.kill(first[1], signal.SIGKILL)  # a follower: goes on by itself
    wait_for_step(run, newest_step(run) + 4, launcher)
    second = processes_of(launcher)
    assert not set(first) & set(second)
    os.kill(second[0], signal.SIGKILL)  # the leader: ends
    begin = time.monotonic()
    stdout, stderr = launcher.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert (launcher.returncode, stdout) == (69, "")
    assert "Process 1 of 2 was ended by SIGKILL" in stderr
    assert "(restart 1 of 1)" in stderr
    assert "Process 0 of 2 was ended by SIGKILL" in stderr
    assert f"headstart resume {run}" in stderr
    assert stderr.count("headstart: ") == 1
    assert not any(os.path.exists(f"/proc/{number}") for number in (*first, *second))
    code, _, stderr = headstart("resume", run, "--quiet")  # in one process
    assert code == 0, stderr
    code, _, stderr = headstart(*training, "--to", tmp_path / "whole", "--set", "training.shares=2", "--quiet")
    assert code == 0, stderr
    assert weights_hash(run) == weights_hash(tmp_path / "whole")


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes by ps")
def test_a_request_to_stop_saves_and_ends_all(training, tmp_path):
    run = tmp_path / "run"
    launcher = started(*training, "--to", run, "--processes", 2)
    wait_for_step(run, 2, launcher)
    launcher.send_signal(signal.SIGTERM)
    stdout, stderr = launcher.communicate(timeout=60)
    assert (launcher.returncode, stdout) == (75, "")
    assert "interrupted and saved after step" in stderr
    assert f"Resume it: headstart resume {run}" in stderr
    assert stderr.count("headstart: ") == 1


def test_flags_of_the_launcher_stay_with_it():
    line = ["finetune", "a.csv", "--processes", "2", "--seed", "1", "--max-restarts=3", "--processes=2"]
    assert _launch.without_flags(line) == ["finetune", "a.csv", "--seed", "1"]


@pytest.mark.skipif(sys.platform == "win32", reason="ends a process by a signal")
def test_a_request_to_stop_that_comes_while_processes_start_is_no_lost_process(monkeypatch):
    monkeypatch.setattr(_launch, "ORPHANED", 0.2)
    monkeypatch.setattr(_launch.Launch, "start", lambda *_: subprocess.Popen(["sleep", "60"]))
    launch = _launch.Launch(["finetune", "a.csv"], 2, "1", 3, Reporter())
    threading.Timer(0.3, launch.signals.append, [signal.SIGTERM]).start()
    with pytest.raises(UserError, match="interrupted") as caught:
        launch.run()
    assert caught.value.exit == Exit.INTERRUPTED
    assert caught.value.fix == "Nothing was begun: give the command again."


@pytest.mark.skipif(sys.platform == "win32", reason="ends a process by a signal")
@pytest.mark.parametrize(("end", "code", "words"), [("kill -9 $$", 69, "Process 1 of 2 was ended by SIGKILL"), ("exit 70", 70, None),
                                                    ("exit 75", 69, "Process 0 of 2 did not end")])
def test_a_leader_that_has_to_be_killed_after_a_loss_is_no_run_that_ended_well(end, code, words, monkeypatch):
    monkeypatch.setattr(_launch, "PATIENCE", (0.1, 0.5))
    monkeypatch.setattr(_launch.Launch, "start", lambda _launch, rank, *_: subprocess.Popen(
        ["sh", "-c", end] if rank else ["sleep", "60"]))
    launch = _launch.Launch(["finetune", "a.csv"], 2, "1", 0, Reporter())
    if words is None:  # process 1 has said why
        assert launch.run() == code
    else:
        with pytest.raises(UserError, match=words) as caught:
            launch.run()
        assert caught.value.exit == code


def test_ctrl_c_while_a_process_loads_its_code_ends_it_in_words(monkeypatch, capsys):
    load = builtins.__import__

    def interrupted(name, *arguments):
        if name == "headstart.cli.main":
            raise KeyboardInterrupt
        return load(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as caught:
        exec(_launch.START, {})
    assert caught.value.code == Exit.INTERRUPTED
    assert capsys.readouterr().err == "headstart: interrupted.\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")
def test_a_terminal_that_goes_stops_all_but_under_nohup(monkeypatch):
    assert signal.SIGHUP in stop_signals()
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    assert signal.SIGHUP not in stop_signals()


def test_an_error_of_a_follower_within_a_step_is_no_cause_of_itself():
    world = World(1, 2)
    with pytest.raises(ValueError, match="of the step") as caught, one_fate(world), world.together():
        raise ValueError("of the step")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_rows_that_only_one_process_would_read_are_refused(name, tmp_path):
    settings = RunSettings(**{"train": "a.csv", name: "-"})
    with pytest.raises(UserError, match="cannot read their rows from standard input") as caught:
        finetune(settings, str(tmp_path / "run"), overwrite=False, reporter=Reporter(), world=World(0, 2))
    assert caught.value.exit == Exit.USAGE
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("flags", "code", "words"), [
    (["--processes", "0"], 2, "a number from 1 to 1,024, or auto"),
    (["--processes", "two"], 2, "a number from 1"),
    (["--processes", "2", "--max-restarts", "-1"], 2, "--max-restarts takes a number"),
    (["--processes", "2", "--device", "cuda:1"], 2, "names one"),
])
def test_a_number_that_cannot_be_is_refused(flags, code, words, reviews, tiny_bert, headstart, tmp_path):
    exit_code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *flags)
    assert exit_code == code
    assert words in stderr
    assert not (tmp_path / "run").exists()


def test_auto_is_one_process_where_there_is_no_gpu(monkeypatch, reviews, tiny_bert, headstart, tmp_path):
    from headstart.models.loading import process_count

    monkeypatch.setattr(process_count, "count_gpus", lambda: 0)
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS,
                                "--processes", "auto")
    assert code == 0
    assert "there is none here: 1 process" in stderr


def test_more_processes_than_gpus_are_refused_and_more_than_cores_are_told(monkeypatch):
    from headstart.models.loading import process_count

    warnings = []
    monkeypatch.setattr(Reporter, "warning", lambda self, text: warnings.append(text))
    monkeypatch.setattr(process_count, "count_gpus", lambda: 2)
    assert process_count.choose_process_count("auto", "auto", Reporter()) == 2
    with pytest.raises(UserError, match="needs 3 GPUs, but this machine has 2"):
        process_count.choose_process_count("3", "cuda", Reporter())
    assert process_count.choose_process_count(1000, "cpu", Reporter()) == 1000
    assert "more processes than cores" in warnings[0]


@pytest.mark.parametrize(("environment", "words"), [
    ({"WORLD_SIZE": "2"}, "but not RANK, MASTER_ADDR, MASTER_PORT"),
    ({"WORLD_SIZE": "many", "RANK": "0"}, "WORLD_SIZE='many', which is "),
    ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "ranks count from 0 to 1"),
])
def test_an_environment_that_is_half_set_is_refused(environment, words):
    with pytest.raises(UserError, match=words), open_world(environment):
        pass


def test_a_port_in_use_and_a_process_that_does_not_come_are_told(monkeypatch):
    from headstart.training import open_world as module

    monkeypatch.setattr(module, "START_SECONDS", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1",
                            "MASTER_PORT": str(taken.getsockname()[1])}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match="is in use by another program"), open_world():
            pass
    with pytest.raises(UserError, match=r"waited 1 s at 127\.0\.0\.1:.*not all of the 2"), open_world():
        pass
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match="Process 1 did not reach process 0 at"), open_world():
        pass


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes by ps")
def test_forty_kills_at_random_moments_end_with_the_bits_of_a_whole_run(training, tmp_path, headstart):
    run, drawn, kills = tmp_path / "run", random.Random(0), 0
    training = [*training, "--set", "training.deterministic=true", "--quiet"]
    code, _, stderr = headstart(*training, "--to", tmp_path / "whole", "--set", "training.shares=2")
    assert code == 0, stderr
    while kills < 40:
        begun = (run / "settings.toml").exists()
        size = drawn.choice([2, 2, 3]) if begun else 2
        launcher = started(*(["resume", run, "--quiet"] if begun else [*training, "--to", run]), "--processes", size)
        end = time.monotonic() + drawn.uniform(1, 15)
        while time.monotonic() < end and launcher.poll() is None:
            time.sleep(0.02)
        if numbers := processes_of(launcher):
            os.kill(drawn.choice(numbers), signal.SIGKILL)
            kills += 1
        begin = time.monotonic()
        _, stderr = launcher.communicate(timeout=60)
        assert time.monotonic() - begin < 30
        assert launcher.returncode in (0, 69), stderr
        if launcher.returncode == 0:  # it was done: the next begins anew
            assert weights_hash(run) == weights_hash(tmp_path / "whole")
            shutil.rmtree(run)
    if run.exists():
        code, _, stderr = headstart("resume", run, "--quiet")
        assert code == 0, stderr
        assert weights_hash(run) == weights_hash(tmp_path / "whole")
