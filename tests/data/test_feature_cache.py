"""Features kept between runs: the same when nothing changed, made anew when anything did."""

import json

import headstart
from headstart.data.features.cache import read


def run(folder, file, cache, to, **more):
    made = headstart.finetune(file, model=folder, to=to, epochs=1, seed=3, data={"cache": str(cache), **more.pop("data", {})},
                              evaluation={"baselines": False, "resamples": 0}, **more)
    return {name: (made.path / "model" / name).read_bytes() for name in ("model.safetensors",)}


def test_a_run_on_kept_features_is_the_same_run_bit_by_bit(tmp_path, tiny_bert, reviews):
    first = run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "one")
    (kept,) = (tmp_path / "kept").iterdir()
    written = kept.stat().st_mtime_ns
    assert run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "two") == first
    assert [place.stat().st_mtime_ns for place in (tmp_path / "kept").iterdir()] == [written]


def test_another_text_or_length_is_another_name(tmp_path, tiny_bert, reviews):
    run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "one")
    run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "two", data={"longest": 9})
    reviews.write_text(reviews.read_text().replace("good", "fine", 1))
    run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "three")
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_a_broken_file_is_made_again_not_trusted(tmp_path, tiny_bert, reviews):
    first = run(tiny_bert, reviews, tmp_path / "kept", tmp_path / "one")
    (kept,) = (tmp_path / "kept").iterdir()
    whole = kept.read_bytes()
    for number, broken in enumerate((whole[:100], b"", whole.replace(whole[2000:2010], b"\0" * 10))):
        kept.write_bytes(broken)
        assert read(kept) is None
        assert run(tiny_bert, reviews, tmp_path / "kept", tmp_path / f"again{number}") == first
        assert read(kept) is not None


def test_without_a_folder_nothing_is_kept(tmp_path, tiny_bert, reviews):
    run(tiny_bert, reviews, "", tmp_path / "one")
    assert json.loads((tmp_path / "one" / "scores.json").read_text())
    assert sorted(place.name for place in tmp_path.iterdir()) == ["one", reviews.name]
