"""An index finds what a full comparison finds, goes on after kill -9, and is never seen half made."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny
from test_runs import wait_for

from headstart.errors import Exit, UserError
from headstart.prediction.embed import embed
from headstart.prediction.embed_file import bare
from headstart.retrieval.documents.chunking import subject
from headstart.retrieval.index import build as building
from headstart.retrieval.index import folder, vectors
from headstart.retrieval.index.build import build
from headstart.retrieval.index.index import Index
from headstart.search.fusion import reciprocal_rank_fusion
from headstart.search.sparse import Sparse
from headstart.settings import Index as Settings

pytest.importorskip("bm25s")
SMALL = Settings(words=20, overlap=5)
QUESTIONS = ["Who waters the roses?", "a broken card in 1984", "the river bank before noon"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.model_folder("bert", tmp_path_factory.mktemp("models") / "bert"))


@pytest.fixture
def notes(tmp_path):
    """A folder of 12 texts, of which the last says the same as the first."""
    place = tmp_path / "notes"
    place.mkdir()
    said = tiny.sentences()
    for number in range(11):
        (place / f"{number:02}.txt").write_text(" ".join(said[number * 20:number * 20 + 9]), encoding="utf-8")
    (place / "again").mkdir()
    shutil.copy(place / "00.txt", place / "again" / "00.txt")
    return place


@pytest.fixture
def made(notes, tmp_path, model):
    return build(str(notes), tmp_path / "index", settings=SMALL, model=model)


def counted(monkeypatch):
    """The texts that go through the model from now on."""
    seen = []

    def spy(model, texts, **more):
        seen.extend(texts)
        return embed(model, texts, **more)

    monkeypatch.setattr(vectors, "embed", spy)
    return seen


def parts(path):
    return {name: part["sha256"] for name, part in folder.read(path)["parts"].items()}


def test_search_finds_what_a_full_comparison_finds(made, model):
    texts = [subject(one) for one in made.passages]
    loaded = bare(model, device="cpu")
    table = np.concatenate(list(embed(loaded, texts, normalise=True))).astype(np.float16).astype(np.float32)
    asked = np.concatenate(list(embed(loaded, QUESTIONS, normalise=True)))
    exact = asked @ table.T
    dense = made.search(QUESTIONS, source="dense", k=5)
    assert [[one.row for one in found] for found in dense] == np.argsort(-exact, axis=1, kind="stable")[:, :5].tolist()
    assert [one.score for one in dense[0]] == pytest.approx(np.sort(exact[0])[::-1][:5], abs=1e-5)
    words = Sparse.build(texts).search(QUESTIONS, k=100)
    sparse = made.search(QUESTIONS, source="sparse", k=100)
    assert [[one.row for one in found] for found in sparse] == words.listed()
    everything = np.argsort(-exact, axis=1, kind="stable")[:, :100].tolist()
    for number, found in enumerate(made.search(QUESTIONS, k=7)):
        assert [(one.row, one.score) for one in found] == reciprocal_rank_fusion([words.listed()[number], everything[number]])[:7]
        assert all(one.passage == made.passages[one.row] for one in found)


def test_passages_keep_their_places_and_folded_ones_their_documents(made, notes):
    for one in made.passages:
        assert (notes / one.document).read_text(encoding="utf-8")[one.begin:one.end] == one.text
    about = made.about()
    assert about["documents"] == 12 and about["passages"] == len(made.passages) and about["folded"] > 0
    assert made.rows_of("again/00.txt") == made.rows_of("00.txt") == [0, 1, 2, 3, 4][:len(made.rows_of("00.txt"))]
    assert made.stands_for(0) == ["00.txt", "again/00.txt"] and made.rows_of("none.txt") == []
    assert {one.document for one in made.passages} == {f"{number:02}.txt" for number in range(11)}
    assert made.passages[-1] == made.passages[len(made) - 1] and len(made.passages[2:5]) == 3
    with pytest.raises(IndexError):
        made.passages[len(made)]


def test_all_near_duplicates_are_kept_when_told_so(notes, tmp_path):
    kept = build(str(notes), tmp_path / "all", settings=Settings(words=20, overlap=5, near_duplicates=None), model=None)
    assert kept.about()["folded"] == 0 and not set(kept.rows_of("again/00.txt")) & set(kept.rows_of("00.txt"))


def test_only_what_is_new_goes_through_the_model(made, notes, tmp_path, model, monkeypatch):
    seen = counted(monkeypatch)
    before = parts(tmp_path / "index")
    build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert not seen and parts(tmp_path / "index") == before
    monkeypatch.setattr("headstart.retrieval.index.storage.tokenize", lambda text, real=building.store.tokenize: seen.append("words") or real(text))
    (notes / "05.txt").unlink()
    (notes / "03.txt").write_text("Every teacher counts café tables in 1984.", encoding="utf-8")
    again = build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert sorted(seen) == sorted(["words", "03\nEvery teacher counts café tables in 1984."])
    assert again.rows_of("05.txt") == [] and again.passages[again.rows_of("03.txt")[0]].text.startswith("Every teacher")
    fresh = build(str(notes), tmp_path / "fresh", settings=SMALL, model=model)
    monkeypatch.undo()
    assert {name: sha for name, sha in parts(tmp_path / "index").items() if "vectors" not in name} == {
        name: sha for name, sha in parts(tmp_path / "fresh").items() if "vectors" not in name}
    assert np.allclose(again.dense.table, fresh.dense.table, atol=2e-3)


def test_a_killed_build_goes_on_to_the_same_bits(notes, tmp_path, model, headstart):
    rows = [{"text": " ".join(tiny.texts(3, seed=number)), "id": number} for number in range(400)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    script = ("import sys; from headstart.retrieval import vectors; vectors.CHUNK = 16; "
              "from headstart.cli.main import guarded; sys.exit(guarded(sys.argv[1:]))")
    flags = ["--model", model, "--set", "index.words=20", "--set", "index.overlap=5"]
    command = [sys.executable, "-c", script, "index", str(data), *flags]
    for _ in range(2):
        process = subprocess.Popen([*command, "--to", str(tmp_path / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        count = len(list((tmp_path / "cut").glob("journal/*/*.npy")))
        wait_for(lambda count=count: len(list((tmp_path / "cut").glob("journal/*/*.npy"))) > count + 1, process, seconds=120)
        process.kill()
        process.wait()
    with pytest.raises(UserError, match="half made") as told:
        Index.open(tmp_path / "cut")
    assert told.value.exit == Exit.NO_INPUT
    done = subprocess.run([*command, "--to", str(tmp_path / "cut")], capture_output=True, text=True)
    assert done.returncode == 0 and "are ready from the build that was cut off" in done.stderr, done.stderr
    assert subprocess.run([*command, "--to", str(tmp_path / "whole")], capture_output=True).returncode == 0
    assert parts(tmp_path / "cut") == parts(tmp_path / "whole")
    assert sorted(one.name for one in (tmp_path / "cut").iterdir()) == [".lock", folder.read(tmp_path / "cut")["version"], "index.json"]


def test_readers_see_the_old_index_until_the_new_one_is_whole(made, notes, tmp_path, model, monkeypatch):
    (notes / "12.txt").write_text("A new text about green apples.", encoding="utf-8")

    def stop(*given):
        raise KeyboardInterrupt

    for name in ("switch", "write_whole"):  # before anything is in place, and with the new version beside the old one
        with monkeypatch.context() as patched:
            patched.setattr(folder, name, stop)
            with pytest.raises(KeyboardInterrupt):
                build(str(notes), tmp_path / "index", settings=SMALL, model=model)
        assert Index.open(tmp_path / "index").about() == made.about()
    seen = counted(monkeypatch)
    new = build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert not seen and new.rows_of("12.txt") and not made.rows_of("12.txt")
    assert made.search(["roses"])[0][0].passage == made.passages[made.search(["roses"])[0][0].row]  # opened before, still whole


def test_an_index_gets_the_vectors_of_another_model(made, tmp_path, model, headstart):
    other = str(tiny.model_folder("distilbert", tmp_path / "other", seed=3))
    assert headstart("index", tmp_path / "index")[0] == Exit.USAGE
    code, out, words = headstart("index", tmp_path / "index", "--model", other, "--json")
    assert code == 0, words
    new = Index.open(tmp_path / "index")
    assert json.loads(out)["model"] == new.model_reference == other and list(new.passages) == list(made.passages)
    assert made.model_reference == model and made.search(["roses"], source="dense")[0] != new.search(["roses"], source="dense")[0]
    with pytest.raises(UserError, match="whose weights are not those of") as told:
        Index.open(tmp_path / "index", model=model)
    assert told.value.exit == Exit.DATA
    shutil.move(other, tmp_path / "moved")
    assert Index.open(tmp_path / "index", model=str(tmp_path / "moved")).search(["roses"])[0]


def test_a_model_that_was_trained_on_since_is_refused(notes, tmp_path):
    place = tiny.model_folder("bert", tmp_path / "mine")
    made = build(str(notes), tmp_path / "index", settings=SMALL, model=str(place))
    tiny.model_folder("bert", place, seed=9)
    made.loaded = None
    with pytest.raises(UserError, match="whose weights"):
        made.search(["roses"])


def test_every_damaged_part_is_told(made, tmp_path):
    for name in [*parts(tmp_path / "index"), "../index.json"]:
        file = tmp_path / "index" / folder.read(tmp_path / "index")["version"] / name
        whole = file.read_bytes()
        for broken in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])) if len(whole) else (b"x",):
            file.write_bytes(broken)
            if broken.endswith(b"}") and name == "../index.json":
                continue  # the last line end alone
            with pytest.raises(UserError, match="damaged") as told:
                Index.open(tmp_path / "index")
            assert told.value.exit == Exit.DATA
        file.write_bytes(whole)
    file = next((tmp_path / "index").glob("*/vectors.npy"))
    file.unlink()
    with pytest.raises(UserError, match=r"vectors\.npy is missing"):
        Index.open(tmp_path / "index")


def test_a_damaged_index_is_built_anew(made, notes, tmp_path, model):
    before = parts(tmp_path / "index")
    next((tmp_path / "index").glob("*/vectors.npy")).write_bytes(b"broken")
    build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert parts(tmp_path / "index") == before and Index.open(tmp_path / "index").search(["roses"])[0]


def test_what_is_no_index_is_told(tmp_path):
    for place, words in ((tmp_path / "none", "no index"), (tmp_path, "holds no index")):
        with pytest.raises(UserError, match=words) as told:
            Index.open(place)
        assert told.value.exit == Exit.NO_INPUT
    (tmp_path / "index.json").write_text(json.dumps({"format": 99}), encoding="utf-8")
    with pytest.raises(UserError, match="format 99"):
        Index.open(tmp_path)


def test_nothing_is_overwritten_unasked(made, notes, tmp_path, headstart):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("Other words.", encoding="utf-8")
    code, _, words = headstart("index", other, "--to", tmp_path / "index", "--model", "none")
    assert code == Exit.EXISTS and "is the index of" in words and Index.open(tmp_path / "index").about() == made.about()
    assert headstart("index", other, "--to", tmp_path / "notes", "--model", "none")[0] == Exit.EXISTS
    assert headstart("index", notes, "--to", notes / "00.txt", "--model", "none")[0] == Exit.EXISTS
    with folder.locked(tmp_path / "index"):
        code, _, words = headstart("index", notes, "--to", tmp_path / "index", "--model", "none")
    assert code == Exit.EXISTS and "being built already" in words
    assert headstart("index", other, "--to", tmp_path / "index", "--model", "none", "--overwrite")[0] == 0
    assert Index.open(tmp_path / "index").about()["documents"] == 1


def test_an_index_of_words_alone(notes, tmp_path, headstart):
    code, _, words = headstart("index", notes, "--to", tmp_path / "w", "--model", "none", "--set", "index.words=20", "--set", "index.overlap=5")
    assert code == 0 and "12 documents" in words, words
    made = Index.open(tmp_path / "w")
    assert made.model_reference is None and made.about()["width"] is None
    assert [one.row for one in made.search(["roses"])[0]] == [one.row for one in made.search(["roses"], source="sparse")[0]]
    with pytest.raises(UserError, match="no vectors"):
        made.search(["roses"], source="dense")
    code, out, words = headstart("index", notes, "--to", tmp_path / "w", "--json")  # settings and model are the index's own
    assert code == 0 and "nothing has changed" in words and json.loads(out)["settings"]["words"] == 20


def test_whole_numbers_find_nearly_the_same(made, notes, tmp_path, model):
    small = build(str(notes), tmp_path / "int8", settings=Settings(words=20, overlap=5, vectors="int8"), model=model)
    assert small.dense.table.dtype == np.int8
    for one, other in zip(made.search(QUESTIONS, source="dense", k=3), small.search(QUESTIONS, source="dense", k=3), strict=True):
        assert [found.score for found in one] == pytest.approx([found.score for found in other], abs=0.02)
    build(str(tmp_path / "int8"), tmp_path / "int8", settings=SMALL, model=model)
    assert np.allclose(Index.open(tmp_path / "int8").dense.table, made.dense.table, atol=2e-3)


def test_strange_questions(made):
    for question in ("", "  ", "?!"):
        with pytest.raises(UserError, match="no words") as told:
            made.search([question])
        assert told.value.exit == Exit.DATA
    assert made.search([]) == [] and made.search(["qqq xyzzy"], source="sparse") == [[]]
    assert len(made.search([" ".join(tiny.sentences() * 10)[:60_000]], k=3)[0]) == 3
    for wrong in ({"source": "other"}, {"k": 0}):
        with pytest.raises(UserError):
            made.search(["roses"], **wrong)


@pytest.mark.parametrize(("source", "code"), [("none", 66), ("empty", 66), ("bare", 65)])
def test_sources_that_give_nothing_leave_nothing_behind(source, code, tmp_path, headstart):
    for name in ("empty", "bare"):
        (tmp_path / name).mkdir()
    (tmp_path / "bare" / "a.txt").write_text("...", encoding="utf-8")
    assert headstart("index", tmp_path / source, "--to", tmp_path / "i", "--model", "none")[0] == code
    assert not (tmp_path / "i").exists()


def test_settings_have_bounds(notes, tmp_path, headstart):
    for wrong in ("index.words=5", "index.near_duplicates=0.2", "index.vectors=int4", "index.overlap=90"):
        assert headstart("index", notes, "--to", tmp_path / "i", "--model", "none", "--set", wrong)[0] == Exit.SETTINGS
