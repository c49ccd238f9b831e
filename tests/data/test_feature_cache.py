"""Features cached between runs: the same when nothing changed, encoded again when anything did."""

import json

import headstart
from headstart.data.features.cache import read


def run(folder, file, cache, to, **options):
    trained = headstart.finetune(file, model=folder, to=to, epochs=1, seed=3,
                                 data={"cache": str(cache), **options.pop("data", {})},
                                 evaluation={"baselines": False, "resamples": 0}, **options)
    return {name: (trained.path / "model" / name).read_bytes() for name in ("model.safetensors",)}


def test_a_run_on_cached_features_is_the_same_run_bit_by_bit(tmp_path, tiny_bert, reviews):
    weights = run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "one")
    (cache_file,) = (tmp_path / "kept").iterdir()
    modified_at = cache_file.stat().st_mtime_ns
    assert run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "two") == weights
    assert [file.stat().st_mtime_ns for file in (tmp_path / "kept").iterdir()] == [modified_at]


def test_another_text_or_length_is_another_name(tmp_path, tiny_bert, reviews):
    run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "one")
    run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "two", data={"max_length": 9})
    reviews.write_text(reviews.read_text().replace("good", "fine", 1))
    run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "three")
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_a_broken_file_is_written_again_not_trusted(tmp_path, tiny_bert, reviews):
    weights = run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "one")
    (cache_file,) = (tmp_path / "kept").iterdir()
    content = cache_file.read_bytes()
    for attempt, broken in enumerate((content[:100], b"", content.replace(content[2000:2010], b"\0" * 10))):
        cache_file.write_bytes(broken)
        assert read(cache_file) is None
        assert run(tiny_bert, reviews, tmp_path / "kept", tmp_path / f"again{attempt}") == weights
        assert read(cache_file) is not None


def test_without_a_folder_nothing_is_cached(tmp_path, tiny_bert, reviews):
    run(tiny_bert, reviews, "", tmp_path / "one")
    assert json.loads((tmp_path / "one" / "scores.json").read_text())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["one", reviews.name]


def test_a_cache_that_cannot_be_written_is_told_and_costs_no_run(tmp_path, tiny_bert, reviews, headstart):
    (tmp_path / "file").write_text("no folder")
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 1, "--set",
                                f"data.cache={tmp_path / 'file' / 'cache'}", "--set", "evaluation.baselines=false",
                                "--set", "evaluation.resamples=0")
    assert code == 0 and "data.cache is not used" in stderr and (tmp_path / "run" / "report.html").exists()
