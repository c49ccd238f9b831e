"""A folder that came from others, its seal written anew: refused in words, whatever its file or headstart.json says."""

import json
import os
import shutil

import pytest

from headstart.models.loading import manifest
from headstart.prediction.external_weights import has_external_weights

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


@pytest.fixture
def folder(exported_run, tmp_path):
    return shutil.copytree(exported_run[0], tmp_path / "export")


def sealed_anew(folder, change=lambda metadata: None):
    file = folder / "headstart.json"
    metadata = json.loads(file.read_text(encoding="utf-8")) | {"sha256": manifest.file_hashes(folder)}
    change(metadata)
    file.write_text(manifest.text_of(metadata), encoding="utf-8")


def refusal(headstart, folder, code):
    found, stdout, stderr = headstart("predict", folder, "the roses", "--quiet")
    assert found == code and not stdout, stderr
    return stderr


def change_output(**values):
    return lambda metadata: metadata["runtime"]["outputs"][0].update(values)


@pytest.mark.parametrize(("change", "words"), [
    (lambda metadata: metadata["runtime"].update(file="../../etc/passwd"), "file = '../../etc/passwd'"),
    (change_output(name="other"), "outputs that bert with the head sequence-classification does not have"),
    (change_output(reads="tokens"), "does not have"),
    (lambda metadata: metadata["runtime"].update(head="nothing"), "does not have"),
    (lambda metadata: metadata["runtime"].update(outputs=2 * metadata["runtime"]["outputs"]), "does not have"),
    (change_output(tensors=[]), "no tensor for an output"),
    (change_output(tensors=["logits", "logits"]), "or one twice"),
    (lambda metadata: metadata["learned"].update(labels=list("abcde"), counts=[]), "has 5 labels"),
    (lambda metadata: metadata["learned"].update(labels=[], counts=[]), "has 0 labels"),
])
def test_what_headstart_json_says_of_the_file_must_be_so(change, words, folder, headstart):
    sealed_anew(folder, change)
    assert words in refusal(headstart, folder, 69)


def test_tokens_that_the_file_does_not_know_are_words_too(folder, headstart, tmp_path):
    sealed_anew(folder, lambda metadata: metadata["runtime"].update(pad_id=99_999))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "tea"}\n{"text": "tea tea tea tea"}\n', encoding="utf-8")
    code, _, stderr = headstart("predict", folder, rows, "--to", tmp_path / "answers.jsonl", "--quiet")
    assert code == 69 and "cannot read these texts" in stderr, stderr


@pytest.mark.parametrize("place", ["weights.bin", "../../secret.bin", "/dev/zero"])
def test_weights_in_other_files_are_refused(place, folder, headstart):
    file = folder / "onnx" / "model.onnx"
    assert not has_external_weights(file)
    model = onnx.load(file)
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    (folder / "onnx" / "weights.bin").write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, place, offset=0, length=len(tensor.raw_data))
    tensor.ClearField("raw_data")
    file.write_bytes(model.SerializeToString())
    sealed_anew(folder)
    assert "weights from other files" in refusal(headstart, folder, 77)


def test_a_tensor_inside_a_node_is_found_too(tmp_path):
    helper = onnx.helper
    tensor = helper.make_tensor("inner", onnx.TensorProto.FLOAT, [1], [1.0])
    node = helper.make_node("Constant", [], ["y"], value=tensor)
    branch = helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("y", 1, [1])])
    choice = helper.make_node("If", ["condition"], ["z"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph([choice], "g", [helper.make_tensor_value_info("condition", 9, [])],
                              [helper.make_tensor_value_info("z", 1, [1])])
    file = tmp_path / "nested.onnx"
    file.write_bytes(helper.make_model(graph).SerializeToString())
    assert not has_external_weights(file)
    inner = graph.node[0].attribute[0].g.node[0].attribute[0].t
    onnx.external_data_helper.set_external_data(inner, "elsewhere") if inner.raw_data else inner.external_data.add(
        key="location", value="elsewhere")
    file.write_bytes(helper.make_model(graph).SerializeToString())
    assert has_external_weights(file)


@pytest.mark.parametrize("content", [b"", b"no protobuf at all", b"\x3a\xff\xff\xff\xff\x0f", b"\x38\xff\xff\x03"])
def test_what_is_no_onnx_file_is_said_to_be_none(content, folder, headstart):
    (folder / "onnx" / "model.onnx").write_bytes(content)
    sealed_anew(folder)
    refusal(headstart, folder, 69)


def test_a_file_that_lies_elsewhere_is_refused_and_one_that_is_gone_is_named(folder, headstart, tmp_path):
    file = folder / "onnx" / "model.onnx"
    os.replace(file, tmp_path / "elsewhere.onnx")
    assert "lacks onnx/model.onnx" in refusal(headstart, folder, 69)
    file.symlink_to(tmp_path / "elsewhere.onnx")
    assert "outside of the folder" in refusal(headstart, folder, 77)
