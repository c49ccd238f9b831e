"""Whatever TOML can hold: what is no value of a setting is refused (78) in words."""

import pytest

ODD = ["epochs = inf", "epochs = nan", "epochs = 1979-05-27", "epochs = 07:32:00", f"epochs = {'9' * 400}", "epochs = 1e400",
       "epochs = [3]", "epochs = {a = 1}", f"epochs = {'9' * 5000}", f"max_steps = {'9' * 400}", "max_steps = inf",
       "max_steps = 1.5", "batch_size = 1979-05-27", "batch_size = [8]", "batch_size = 99999999999999999999",
       "freeze = 3", "schedule = [1]", "gradient_checkpointing = 2", f"epochs = {'[' * 5000}{']' * 5000}",
       f"{'a.' * 3000}b = 1"]
ODD_RUN = ["train = 5", "seed = -1", "seed = 1.5", f"seed = {'9' * 40}", "strict = 'yes'", "model = [1]", "dev = 1979-05-27"]


@pytest.mark.parametrize("line", ODD, ids=lambda line: line[:24])
def test_odd_values_of_a_settings_file_are_refused(line, headstart, tmp_path, reviews):
    path = tmp_path / "odd.toml"
    path.write_text(f"[training]\n{line}\n", encoding="utf-8")
    code, _, stderr = headstart("finetune", reviews, "--settings", path, "--to", tmp_path / "run")
    assert code == 78 and len(stderr) < 1000 and not (tmp_path / "run").exists(), stderr


@pytest.mark.parametrize("line", ODD_RUN, ids=lambda line: line[:24])
def test_odd_values_of_the_run_are_refused(line, headstart, tmp_path, reviews):
    path = tmp_path / "odd.toml"
    train = "" if line.startswith("train") else f'train = "{reviews}"\n'
    path.write_text(f"[run]\n{train}{line}\n", encoding="utf-8")
    code, _, stderr = headstart("finetune", "--settings", path, "--to", tmp_path / "run")
    assert code == 78 and len(stderr) < 1000 and not (tmp_path / "run").exists(), stderr


@pytest.mark.parametrize("value", ["inf", "nan", "1e400", "9" * 400, "-inf"])
def test_odd_numbers_of_the_command_line_are_refused(value, headstart, reviews):
    assert headstart("finetune", reviews, "--set", f"training.epochs={value}")[0] == 78
