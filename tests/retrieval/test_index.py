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
from headstart.prediction.embed import embed, embed_chunk
from headstart.prediction.embed_file import load_headless
from headstart.retrieval.documents.chunking import searchable_text
from headstart.retrieval.index import build as building
from headstart.retrieval.index import folder, vectors
from headstart.retrieval.index.build import build
from headstart.retrieval.index.index import Index
from headstart.search.fusion import reciprocal_rank_fusion
from headstart.search.sparse import SparseIndex
from headstart.settings import Index as Settings

pytest.importorskip("bm25s")
SMALL = Settings(passage_words=20, overlap=5)
QUESTIONS = ["Who waters the roses?", "a broken card in 1984", "the river bank before noon"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.model_folder("bert", tmp_path_factory.mktemp("models") / "bert"))


@pytest.fixture
def notes(tmp_path):
    """A folder of 12 texts, of which the last says the same as the first."""
    notes_folder = tmp_path / "notes"
    notes_folder.mkdir()
    sentences = tiny.sentences()
    for row in range(11):
        (notes_folder / f"{row:02}.txt").write_text(" ".join(sentences[row * 20:row * 20 + 9]), encoding="utf-8")
    (notes_folder / "again").mkdir()
    shutil.copy(notes_folder / "00.txt", notes_folder / "again" / "00.txt")
    return notes_folder


@pytest.fixture
def index(notes, tmp_path, model):
    return build(str(notes), tmp_path / "index", settings=SMALL, model=model)


def record_encoded(monkeypatch):
    """The texts that go through the model from now on."""
    encoded = []

    def spy(model, texts, **options):
        encoded.extend(texts)
        return embed_chunk(model, texts, **options)

    monkeypatch.setattr(vectors, "embed_chunk", spy)
    return encoded


def parts(path):
    return {name: part["sha256"] for name, part in folder.read_manifest(path)["parts"].items()}


def test_search_finds_what_a_full_comparison_finds(index, model):
    passage_texts = [searchable_text(passage) for passage in index.passages]
    encoder = load_headless(model, device="cpu")
    table = np.concatenate(list(embed(encoder, passage_texts, normalise=True))).astype(np.float16).astype(np.float32)
    vectors_of_questions = np.concatenate(list(embed(encoder, QUESTIONS, normalise=True)))
    exact = vectors_of_questions @ table.T
    dense = index.search(QUESTIONS, source="dense", k=5)
    assert [[hit.row for hit in hits] for hits in dense] == np.argsort(-exact, axis=1, kind="stable")[:, :5].tolist()
    assert [hit.score for hit in dense[0]] == pytest.approx(np.sort(exact[0])[::-1][:5], abs=1e-5)
    bm25_hits = SparseIndex.build(passage_texts).search(QUESTIONS, k=100)
    sparse = index.search(QUESTIONS, source="sparse", k=100)
    assert [[hit.row for hit in hits] for hits in sparse] == bm25_hits.rankings()
    dense_rankings = np.argsort(-exact, axis=1, kind="stable")[:, :100].tolist()
    for query, hits in enumerate(index.search(QUESTIONS, k=7)):
        assert [(hit.row, hit.score) for hit in hits] == reciprocal_rank_fusion([bm25_hits.rankings()[query],
                                                                                 dense_rankings[query]])[:7]
        assert all(hit.passage == index.passages[hit.row] for hit in hits)


def test_passages_keep_their_places_and_folded_ones_their_documents(index, notes):
    for passage in index.passages:
        assert (notes / passage.document).read_text(encoding="utf-8")[passage.begin:passage.end] == passage.text
    summary = index.summary()
    assert summary["documents"] == 12 and summary["passages"] == len(index.passages) and summary["folded"] > 0
    assert index.document_rows("again/00.txt") == index.document_rows("00.txt") == [0, 1, 2, 3, 4][
        :len(index.document_rows("00.txt"))]
    assert index.documents_of(0) == ["00.txt", "again/00.txt"] and index.document_rows("none.txt") == []
    assert {passage.document for passage in index.passages} == {f"{number:02}.txt" for number in range(11)}
    assert index.passages[-1] == index.passages[len(index) - 1] and len(index.passages[2:5]) == 3
    with pytest.raises(IndexError):
        index.passages[len(index)]


def test_all_near_duplicates_are_kept_when_told_so(notes, tmp_path):
    unfolded = build(str(notes), tmp_path / "all", settings=Settings(passage_words=20, overlap=5, near_duplicates=None),
                     model=None)
    assert unfolded.summary()["folded"] == 0 and not set(unfolded.document_rows("again/00.txt")) & set(
        unfolded.document_rows("00.txt"))


def test_only_what_is_new_goes_through_the_model(index, notes, tmp_path, model, monkeypatch):
    encoded = record_encoded(monkeypatch)
    before = parts(tmp_path / "index")
    build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert not encoded and parts(tmp_path / "index") == before
    monkeypatch.setattr("headstart.retrieval.index.storage.tokenize", lambda text,
                        original=building.storage.tokenize: encoded.append("words") or original(text))
    (notes / "05.txt").unlink()
    (notes / "03.txt").write_text("Every teacher counts café tables in 1984.", encoding="utf-8")
    updated = build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert sorted(encoded) == sorted(["words", "03\nEvery teacher counts café tables in 1984."])
    assert updated.document_rows("05.txt") == [] and updated.passages[
        updated.document_rows("03.txt")[0]].text.startswith("Every teacher")
    fresh = build(str(notes), tmp_path / "fresh", settings=SMALL, model=model)
    monkeypatch.undo()
    assert {name: sha for name, sha in parts(tmp_path / "index").items() if "vectors" not in name} == {
        name: sha for name, sha in parts(tmp_path / "fresh").items() if "vectors" not in name}
    assert np.allclose(updated.dense.table, fresh.dense.table, atol=2e-3)


def test_a_killed_build_goes_on_to_the_same_bits(notes, tmp_path, model, headstart):
    rows = [{"text": " ".join(tiny.texts(3, seed=number)), "id": number} for number in range(400)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    script = ("import sys; from headstart.retrieval.index import vectors; vectors.PREDICTION_CHUNK = 16; "
              "from headstart.cli.main import run_guarded; sys.exit(run_guarded(sys.argv[1:]))")
    flags = ["--model", model, "--set", "index.passage_words=20", "--set", "index.overlap=5"]
    command = [sys.executable, "-c", script, "index", str(data), *flags]
    for _ in range(2):
        process = subprocess.Popen([*command, "--to", str(tmp_path / "cut")], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        count = len(list((tmp_path / "cut").glob("journal/*/*.npy")))
        wait_for(lambda count=count: len(list((tmp_path / "cut").glob("journal/*/*.npy"))) > count + 1, process,
                 seconds=120)
        process.kill()
        process.wait()
    with pytest.raises(UserError, match="is incomplete") as raised:
        Index.open(tmp_path / "cut")
    assert raised.value.exit == Exit.NO_INPUT
    finished = subprocess.run([*command, "--to", str(tmp_path / "cut")], capture_output=True, text=True)
    assert finished.returncode == 0 and "are there from the interrupted build" in finished.stderr, finished.stderr
    assert subprocess.run([*command, "--to", str(tmp_path / "whole")], capture_output=True).returncode == 0
    assert parts(tmp_path / "cut") == parts(tmp_path / "whole")
    assert sorted(file.name for file in (tmp_path / "cut").iterdir()) == [
        ".lock", folder.read_manifest(tmp_path / "cut")["version"], "index.json"]


def test_readers_see_the_old_index_until_the_new_one_is_whole(index, notes, tmp_path, model, monkeypatch):
    (notes / "12.txt").write_text("A new text about green apples.", encoding="utf-8")

    def stop(*arguments):
        raise KeyboardInterrupt

    for name in ("publish", "write_text"):  # before anything is in place, and with the new version beside the old one
        with monkeypatch.context() as patched:
            patched.setattr(folder, name, stop)
            with pytest.raises(KeyboardInterrupt):
                build(str(notes), tmp_path / "index", settings=SMALL, model=model)
        assert Index.open(tmp_path / "index").summary() == index.summary()
    encoded = record_encoded(monkeypatch)
    updated = build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert not encoded and updated.document_rows("12.txt") and not index.document_rows("12.txt")
    # opened before, still whole
    assert index.search(["roses"])[0][0].passage == index.passages[index.search(["roses"])[0][0].row]


def test_an_index_gets_the_vectors_of_another_model(index, tmp_path, model, headstart):
    other_model = str(tiny.model_folder("distilbert", tmp_path / "other", seed=3))
    assert headstart("index", tmp_path / "index")[0] == Exit.USAGE
    code, stdout, stderr = headstart("index", tmp_path / "index", "--model", other_model, "--json")
    assert code == 0, stderr
    updated = Index.open(tmp_path / "index")
    assert json.loads(stdout)["model"] == updated.model_reference == other_model and list(updated.passages) == list(
        index.passages)
    assert index.model_reference == model and index.search(["roses"], source="dense")[0] != updated.search(
        ["roses"], source="dense")[0]
    with pytest.raises(UserError, match="whose weights are not those of") as raised:
        Index.open(tmp_path / "index", model=model)
    assert raised.value.exit == Exit.DATA
    shutil.move(other_model, tmp_path / "moved")
    assert Index.open(tmp_path / "index", model=str(tmp_path / "moved")).search(["roses"])[0]


def test_a_model_that_was_trained_on_since_is_refused(notes, tmp_path):
    model_path = tiny.model_folder("bert", tmp_path / "mine")
    index = build(str(notes), tmp_path / "index", settings=SMALL, model=str(model_path))
    tiny.model_folder("bert", model_path, seed=9)
    index.loaded_model = None
    with pytest.raises(UserError, match="whose weights"):
        index.search(["roses"])


def test_every_damaged_part_is_told(index, tmp_path):
    for name in [*parts(tmp_path / "index"), "../index.json"]:
        file = tmp_path / "index" / folder.read_manifest(tmp_path / "index")["version"] / name
        content = file.read_bytes()
        for broken in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])) if len(content) else (b"x",):
            file.write_bytes(broken)
            if broken.endswith(b"}") and name == "../index.json":
                continue  # the last line end alone
            with pytest.raises(UserError, match="damaged") as raised:
                Index.open(tmp_path / "index")
            assert raised.value.exit == Exit.DATA
        file.write_bytes(content)
    file = next((tmp_path / "index").glob("*/vectors.npy"))
    file.unlink()
    with pytest.raises(UserError, match=r"vectors\.npy is missing"):
        Index.open(tmp_path / "index")


def test_a_damaged_index_is_built_anew(index, notes, tmp_path, model):
    before = parts(tmp_path / "index")
    next((tmp_path / "index").glob("*/vectors.npy")).write_bytes(b"broken")
    build(str(notes), tmp_path / "index", settings=SMALL, model=model)
    assert parts(tmp_path / "index") == before and Index.open(tmp_path / "index").search(["roses"])[0]


def test_what_is_no_index_is_told(tmp_path):
    for path, message in ((tmp_path / "none", "no index"), (tmp_path, "holds no index")):
        with pytest.raises(UserError, match=message) as raised:
            Index.open(path)
        assert raised.value.exit == Exit.NO_INPUT
    (tmp_path / "index.json").write_text(json.dumps({"format": 99}), encoding="utf-8")
    with pytest.raises(UserError, match="format 99"):
        Index.open(tmp_path)


def test_nothing_is_overwritten_unasked(index, notes, tmp_path, headstart):
    other_source = tmp_path / "other"
    other_source.mkdir()
    (other_source / "a.txt").write_text("Other words.", encoding="utf-8")
    code, _, stderr = headstart("index", other_source, "--to", tmp_path / "index", "--model", "none")
    assert code == Exit.EXISTS and "is the index of" in stderr and Index.open(tmp_path
                                                                              / "index").summary() == index.summary()
    assert headstart("index", other_source, "--to", tmp_path / "notes", "--model", "none")[0] == Exit.EXISTS
    assert headstart("index", notes, "--to", notes / "00.txt", "--model", "none")[0] == Exit.EXISTS
    with folder.locked(tmp_path / "index"):
        code, _, stderr = headstart("index", notes, "--to", tmp_path / "index", "--model", "none")
    assert code == Exit.EXISTS and "being built already" in stderr
    assert headstart("index", other_source, "--to", tmp_path / "index", "--model", "none", "--overwrite")[0] == 0
    assert Index.open(tmp_path / "index").summary()["documents"] == 1


def test_an_index_of_words_alone(notes, tmp_path, headstart):
    code, _, stderr = headstart("index", notes, "--to", tmp_path / "w", "--model", "none", "--set",
                                "index.passage_words=20", "--set", "index.overlap=5")
    assert code == 0 and "12 documents" in stderr, stderr
    index = Index.open(tmp_path / "w")
    assert index.model_reference is None and index.summary()["width"] is None
    assert [hit.row for hit in index.search(["roses"])[0]] == [hit.row
                                                               for hit in index.search(["roses"], source="sparse")[0]]
    with pytest.raises(UserError, match="no vectors"):
        index.search(["roses"], source="dense")
    # settings and model are the index's own
    code, stdout, stderr = headstart("index", notes, "--to", tmp_path / "w", "--json")
    assert code == 0 and "nothing has changed" in stderr and json.loads(stdout)["settings"]["passage_words"] == 20


def test_whole_numbers_find_nearly_the_same(index, notes, tmp_path, model):
    int8_index = build(str(notes), tmp_path / "int8",
                       settings=Settings(passage_words=20, overlap=5, vector_dtype="int8"), model=model)
    assert int8_index.dense.table.dtype == np.int8
    for float_hits, int8_hits in zip(index.search(QUESTIONS, source="dense", k=3),
                                     int8_index.search(QUESTIONS, source="dense", k=3), strict=True):
        assert [hit.score for hit in float_hits] == pytest.approx([hit.score for hit in int8_hits], abs=0.02)
    build(str(tmp_path / "int8"), tmp_path / "int8", settings=SMALL, model=model)
    assert np.allclose(Index.open(tmp_path / "int8").dense.table, index.dense.table, atol=2e-3)


def test_strange_questions(index):
    for question in ("", "  ", "?!"):
        with pytest.raises(UserError, match="no words") as raised:
            index.search([question])
        assert raised.value.exit == Exit.DATA
    assert index.search([]) == [] and index.search(["qqq xyzzy"], source="sparse") == [[]]
    assert len(index.search([" ".join(tiny.sentences() * 10)[:60_000]], k=3)[0]) == 3
    for arguments in ({"source": "other"}, {"k": 0}):
        with pytest.raises(UserError):
            index.search(["roses"], **arguments)


@pytest.mark.parametrize(("source", "code"), [("none", 66), ("empty", 66), ("bare", 65)])
def test_sources_that_give_nothing_leave_nothing_behind(source, code, tmp_path, headstart):
    for name in ("empty", "bare"):
        (tmp_path / name).mkdir()
    (tmp_path / "bare" / "a.txt").write_text("...", encoding="utf-8")
    assert headstart("index", tmp_path / source, "--to", tmp_path / "i", "--model", "none")[0] == code
    assert not (tmp_path / "i").exists()


def test_settings_have_bounds(notes, tmp_path, headstart):
    for setting in ("index.passage_words=5", "index.near_duplicates=0.2", "index.vector_dtype=int4",
                    "index.overlap=90"):
        assert headstart("index", notes, "--to", tmp_path / "i", "--model", "none", "--set",
                         setting)[0] == Exit.SETTINGS
