"""A predictor is immutable: threads share it and get the bits of one thread; another runtime gives outputs alone."""

import dataclasses
import itertools
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_writers
import torch

from headstart import tasks
from headstart.artifacts import artifact
from headstart.contract import Learned, Row
from headstart.models.loading.load import load
from headstart.models.model import Model
from headstart.models.tokenizers.slow import SlowBackend
from headstart.prediction.predictor import TaskPredictor
from headstart.prediction.torch_runtime import torch_predictor
from headstart.settings import Generation
from headstart.tasks.long_answer.task import LongAnswer, Settings

THREADS, ROUNDS, ROWS = 8, 2, 5
GENERATED = Generation(max_new_tokens=6)
SAMPLED = Generation(max_new_tokens=6, do_sample=True, temperature=1.5)


def texts_of(thread):
    """A thread's own texts, some of them longer than a tiny model's input."""
    texts = tiny.texts(ROWS, seed=thread)
    return [*texts[:-1], " ".join(tiny.texts(8, seed=100 + thread))]


def classifier(family):
    def build(folder):
        path = tiny.model_folder(family, folder, head="sequence-classification", labels=["no", "yes"])
        return artifact.load(str(path)), None, lambda text: {"text": text}
    return build


def language_model(folder):
    """One whose memory goes from each piece of a text to the next."""
    path = tiny.model_folder("transfo-xl", folder, head="causal-language-model")
    return artifact.load(str(path), task_name="language-model"), None, lambda text: {"text": text}


def writer(family, generation):
    """An encoder-decoder; rows have targets too, which are encoded by a tokenizer of their own."""
    def build(folder):
        path = tiny_writers.model_folder(family, folder, seed=2)
        loaded = artifact.load(str(path), task_name="translation", **tiny_writers.language_arguments(family))
        return loaded, generation, lambda text: {"source": text, "target": text.split(".")[0]}
    return build


def answerer(family, generation):
    def build(folder):
        path = tiny.model_folder(family, folder, head="causal-language-model")
        model = load(str(path), None, seed=0, device="cpu")
        task = LongAnswer(Settings(layout="instruct"), Learned())
        return (task, model), generation, lambda text: {"question": "who waters it?", "passages": [{"text": text[:80]}]}
    return build


BUILDERS = {
    "encoder": classifier("bert"), "decoder": classifier("gpt2"), "decoder with memory": language_model,
    "encoder-decoder": writer("t5", GENERATED), "encoder-decoder, sampled": writer("t5", SAMPLED),
    "beams": writer("marian", dataclasses.replace(GENERATED, num_beams=3)), "two languages": writer("mbart", GENERATED),
    "decoder, generating": answerer("gpt2", GENERATED), "decoder, sampled": answerer("gpt2", SAMPLED),
    "decoder with positions of its own": answerer("roberta", GENERATED),
}
EVERY_BUILDER = pytest.mark.parametrize("name", BUILDERS)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(predictor, examples of a thread) by name, built once."""
    built = {}

    def get(name):
        if name not in built:
            (task, model), generation, row = BUILDERS[name](tmp_path_factory.mktemp("model"))
            predictor = torch_predictor(task, model, batch_tokens=256, generation=generation)
            built[name] = predictor, lambda thread: [task.read(Row(index, row(text)))
                                                     for index, text in enumerate(texts_of(thread))]
        return built[name]

    return get


def bits(predictions):
    """Predictions as text that is the same for the same bits alone."""
    with np.printoptions(precision=17, threshold=sys.maxsize):
        return [repr((prediction.row, prediction.values, prediction.detail)) for prediction in predictions]


def in_threads(work):
    """Run `work(thread)` in all threads at once, switching between them often; whatever one raises, this raises."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            barrier = threading.Barrier(THREADS)
            list(pool.map(lambda thread: (barrier.wait(timeout=60), work(thread)), range(THREADS)))
    finally:
        sys.setswitchinterval(interval)


@EVERY_BUILDER
def test_threads_that_share_a_predictor_get_the_bits_of_one_thread(name, built):
    predictor, examples_of = built(name)
    expected = [bits(predictor.predict(examples_of(thread))) for thread in range(THREADS)]
    assert len({row for rows in expected for row in rows}) > THREADS  # they differ from text to text
    answers = {}

    def predict(thread):
        examples = examples_of(thread)
        for number in range(ROUNDS):
            answers[thread, number] = bits(predictor.predict(examples))

    in_threads(predict)
    assert answers == {(thread, number): expected[thread]
                       for thread, number in itertools.product(range(THREADS), range(ROUNDS))}


@EVERY_BUILDER
def test_predicting_sets_nothing_on_the_model_and_leaves_the_generator_alone(name, built, monkeypatch):
    predictor, examples_of = built(name)
    model, state = predictor.runtime.model, torch.random.get_rng_state()
    shared = {id(model), *map(id, model.module.modules())}
    hooks = [dict(module._forward_hooks) for module in model.module.modules()]

    def refuse(setter):
        def set_elsewhere(target, attribute, value):
            assert id(target) not in shared, f"{type(target).__name__}.{attribute} was set"
            setter(target, attribute, value)
        return set_elsewhere

    for cls in (Model, type(model), torch.nn.Module):
        if "__setattr__" in vars(cls) or cls is Model:
            monkeypatch.setattr(cls, "__setattr__", refuse(cls.__setattr__))
    answers = bits(predictor.predict(examples_of(0)))
    monkeypatch.undo()
    assert answers == bits(predictor.predict(examples_of(0)))
    assert hooks == [dict(module._forward_hooks) for module in model.module.modules()]
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_predictor_and_its_runtime_are_frozen_and_refuse_a_model_in_training(built):
    predictor, examples_of = built("encoder")
    for target, name in ((predictor, "task"), (predictor.runtime, "model"), (predictor.runtime, "generation")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(target, name, None)
    module = predictor.runtime.model.module
    module.train()
    try:
        with pytest.raises(AssertionError, match="new predictor"):
            list(predictor.predict(examples_of(0)))
    finally:
        module.eval()


class ReplayedRuntime:
    """Another runtime: outputs from a table by token ids, in another order than the features'."""

    def __init__(self, runtime, features):
        self.tokenizer, self.precision = runtime.tokenizer, runtime.precision
        self.table = {tuple(features[index].ids): output for index, output in runtime.outputs(features)}

    def outputs(self, features):
        for index in reversed(range(len(features))):
            yield index, self.table[tuple(features[index].ids)]

    def fingerprint(self):
        return "replayed"


@pytest.mark.parametrize("name", ["encoder", "decoder", "encoder-decoder", "decoder, generating"])
def test_another_runtime_gives_outputs_and_nothing_else(name, built):
    predictor, examples_of = built(name)
    examples = examples_of(0)
    features = [feature for example_features in predictor.encode(examples) for feature in example_features]
    other = TaskPredictor(predictor.task, ReplayedRuntime(predictor.runtime, features))
    assert [prediction.values for prediction in other.predict(examples)] == [
        prediction.values for prediction in predictor.predict(examples)]
    assert other.fingerprint() != predictor.fingerprint()


def test_encode_outputs_decode_are_what_predict_does(built):
    for name in ("encoder", "decoder with memory", "encoder-decoder"):
        predictor, examples_of = built(name)
        examples = examples_of(1)
        features = predictor.encode(examples)
        decoded = predictor.decode(examples, predictor.outputs(features))
        truncated = [max(feature.truncated_tokens for feature in example_features) for example_features in features]
        decoded = [dataclasses.replace(prediction, detail={**prediction.detail, "truncated_tokens": count})
                   if count else prediction for prediction, count in zip(decoded, truncated, strict=True)]
        assert bits(decoded) == bits(predictor.predict(examples))


def test_a_fingerprint_follows_weights_settings_and_what_the_task_learned(built):
    predictor, _ = built("encoder-decoder")
    runtime, task = predictor.runtime, predictor.task
    others = [dataclasses.replace(predictor, runtime=dataclasses.replace(runtime, generation=SAMPLED)),
              dataclasses.replace(predictor, task=task.with_learned(Learned(("other",)))),
              dataclasses.replace(predictor, task=tasks.find("summarization")(None, task.learned))]
    weight = next(runtime.model.module.parameters())
    prints = {predictor.fingerprint(), *(other.fingerprint() for other in others)}
    with torch.no_grad():
        weight[0, 0] += 1
        prints.add(predictor.fingerprint())
        weight[0, 0] -= 1
    assert len(prints) == 5


class TwoModesTokenizer:
    """Like Marian's: it reads sources or targets by a mode that it forgets when it is copied or pickled."""

    def __init__(self):
        self.first_id = 0

    def _switch_to_target_mode(self):
        self.first_id = 1000

    def __getstate__(self):
        return {"first_id": 0}

    def tokenize(self, text):
        return text.split()

    def convert_tokens_to_ids(self, pieces):
        return [self.first_id + len(piece) for piece in pieces]


def piece_text(piece):
    return piece


def test_threads_read_sources_and_targets_by_one_tokenizer_of_two_modes_at_once():
    source = SlowBackend(TwoModesTokenizer(), piece_text)
    backends = (source, source.for_targets(), pickle.loads(pickle.dumps(source.for_targets())), source)
    ids = {}

    def encode(thread):
        ids[thread] = [backends[thread % 4].encode("a bc def", add_special_tokens=False).ids for _ in range(100)]

    in_threads(encode)
    assert ids == {thread: 100 * [[1, 2, 3] if thread % 4 in (0, 3) else [1001, 1002, 1003]]
                   for thread in range(THREADS)}


COMMAND = """
import sys
from headstart.cli.main import main
for arguments in {commands!r}:
    assert main(arguments) == 0
rooms = ("headstart.runs", "headstart.training", "headstart.preparation", "headstart.evaluation", "headstart.reports")
loaded = [name for name in sys.modules if name.startswith(rooms)]
assert not loaded, loaded
"""


def test_predicting_a_file_imports_neither_training_nor_its_preparation(tmp_path):
    classifier = tiny.model_folder("bert", tmp_path / "bert", head="sequence-classification")
    writer = tiny_writers.model_folder("t5", tmp_path / "t5")
    commands = []
    for model, column, flags in ((classifier, "text", []),
                                 (writer, "source", ["--task", "summarization",
                                                     "--set", "generation.max_new_tokens=3"])):
        (tmp_path / f"{column}.csv").write_text(f"{column}\nThe gardener waters the roses.\n")
        commands.append(["predict", str(model), str(tmp_path / f"{column}.csv"), "--to", str(tmp_path / f"{column}-out.csv"),
                         *flags])
    subprocess.run([sys.executable, "-c", COMMAND.format(commands=commands)], check=True,
                   cwd=Path(__file__).parents[2])
    for column in ("text", "source"):
        assert (tmp_path / f"{column}-out.csv").read_text().count("\n") == 2
