"""Prompts are laid out by one function in training, generation and prediction; with a chat template as plain
transformers does, token by token, and what a user's text spells is never a control token.
"""

import json
import shutil

import pytest
import tiny
import transformers
from hypothesis import given, settings, strategies

import headstart as package
from headstart.contract import Row, RowFault
from headstart.errors import DataError, UserError
from headstart.models.loading.family_tokenizer import load_family_tokenizer
from headstart.models.loading.load import load
from headstart.models.loading.model_info import model_info
from headstart.models.tokenizers.control_tokens import ControlTokens
from headstart.models.tokenizers.tokenizer import FamilyTokenizer
from headstart.tasks.language_model import LanguageModel
from headstart.tasks.shared.prompt_layout import Turn, lay_out, prompt_ids

# Templates of five kinds, in the manner of those that are published; each with its control tokens and start token.
TEMPLATES = {
    "chatml": (
        "{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\nHelp.<|im_end|>\n' }}"
        "{% endif %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        ["<|im_start|>", "<|im_end|>"], "<|im_start|>", "<|im_end|>"),
    "headers": (
        "{% for m in messages %}{% set text = '<|start_header|>' + m.role + '<|end_header|>\n\n' + m.content | trim + "
        "'<|eot|>' %}{% if loop.first %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header|>assistant<|end_header|>\n\n' }}{% endif %}",
        ["<|begin|>", "<|end|>", "<|start_header|>", "<|end_header|>", "<|eot|>"], "<|begin|>", "<|end|>"),
    "turns": (
        "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
        "{{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<eos>"),
    "tags": (
        "{% for m in messages %}{% if m.role == 'user' %}{{ '<|user|>\n' + m.content + eos_token }}"
        "{% elif m.role == 'system' %}{{ '<|system|>\n' + m.content + eos_token }}"
        "{% elif m.role == 'assistant' %}{{ '<|assistant|>\n' + m.content + eos_token }}{% endif %}"
        "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}\n{% endfor %}",
        ["<s>", "</s>"], "<s>", "</s>"),
    "instruct": (
        "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
        "{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + eos_token}}"
        "{% endif %}{% endfor %}", ["<s>", "</s>"], "<s>", "</s>"),
}
ONE = [{"role": "user", "content": "The river bank"}, {"role": "assistant", "content": "seven green apples"}]
TWO = [*ONE, {"role": "user", "content": "Who forgets?"}, {"role": "assistant", "content": "Every teacher."}]
SPELLED = "My </s> [SEP] <|im_end|> <|eot|> <end_of_turn> <s><bos> text"
CASES = pytest.mark.parametrize("name", TEMPLATES)
KINDS = pytest.mark.parametrize("family", ["gpt2", "llama"])  # bytes, and pieces that begin with a space


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("layout") / family, "causal-language-model",
                                      seed=2) for family in ("gpt2", "llama")}


def with_template(folder, name):
    """The tokenizer of a folder with one of the templates and its control tokens."""
    template, control_tokens, start, end = TEMPLATES[name]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"bos_token": start, "eos_token": end, "extra_special_tokens": control_tokens})
    tokenizer.chat_template = template
    return tokenizer


def chat_folder(folder, name, path):
    """A model folder with such a tokenizer."""
    model, tokenizer = transformers.AutoModelForCausalLM.from_pretrained(folder), with_template(folder, name)
    model.resize_token_embeddings(len(tokenizer))
    model.config.bos_token_id = model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def turns(messages):
    return [Turn(message["role"], message["content"]) for message in messages]


def library_ids(tokenizer, messages, **options):
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options))


@CASES
@KINDS
@pytest.mark.parametrize("messages", [ONE, TWO], ids=["one turn", "two turns"])
def test_a_chat_is_laid_out_as_plain_transformers_does_token_by_token(folders, name, family, messages):
    plain = with_template(folders[family], name)
    expected, asked = library_ids(plain, messages), library_ids(plain, messages[:-1], add_generation_prompt=True)
    tokenizer = FamilyTokenizer(plain, 512)
    laid_out = lay_out(turns(messages), tokenizer, "chat")
    assert laid_out.ids == expected and prompt_ids(turns(messages[:-1]), tokenizer, "chat") == asked
    assert laid_out.ids[:len(asked)] == asked and laid_out.ids.count(plain.bos_token_id) == expected.count(
        plain.bos_token_id)
    learned_texts = [plain.decode(laid_out.ids[start:end], skip_special_tokens=True).strip()
                     for start, end in laid_out.learned]
    assert learned_texts == [message["content"] for message in messages if message["role"] == "assistant"]
    ends = {"headers": "<|eot|>", "turns": "<end_of_turn>"}
    assert {plain.convert_ids_to_tokens(laid_out.ids[end - 1]) for _, end in laid_out.learned} == {
        ends.get(name, plain.eos_token)}


@CASES
@KINDS
def test_control_tokens_in_a_turn_stay_text_and_those_of_the_template_are_tokens(folders, name, family):
    plain = with_template(folders[family], name)
    tokenizer = FamilyTokenizer(plain, 512)
    spelled = lay_out(turns([{"role": "user", "content": SPELLED}, {"role": "assistant", "content": SPELLED}]),
                      tokenizer, "chat").ids
    ordinary = lay_out(turns(ONE), tokenizer, "chat").ids
    control_ids = tokenizer.chat.control_ids
    assert [token for token in spelled if token in control_ids] == [token for token in ordinary if token in control_ids]
    text = "".join(plain.decode(spelled).split())
    assert text.count("".join(SPELLED.split())) == 2, text


@KINDS
@pytest.mark.parametrize("name", ["chatml", "headers"])
def test_what_stays_text_is_what_the_library_sanitizes(folders, name, family):
    plain = with_template(folders[family], name)
    messages = [{"role": "user", "content": f"{SPELLED} it"}]
    try:
        expected = library_ids(plain, messages, add_generation_prompt=True, sanitize_control_tokens=True)
    except (TypeError, ValueError):
        pytest.skip("this version of the library does not sanitize, or not with this tokenizer")
    tokenizer = FamilyTokenizer(plain, 512)
    ids = tokenizer.chat.ids([(messages, True)])[0]
    assert plain.decode(ids) == plain.decode(expected)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_text_becomes_no_control_token_in_any_family(family, tmp_path):
    tokenizer = load_family_tokenizer(model_info(str(tiny.model_folder(family, tmp_path / family))))
    control = tokenizer.control
    for content in [*control.token_ids, " x ".join(control.token_ids)]:
        tokens = tokenizer.tokenize(f"the {content} roses {content}")
        assert control.ids.isdisjoint(set(tokens.ids) - {control.unknown_id})
        assert len(tokens.offsets) == len(tokens.ids) and all(
            0 <= start <= end <= len(f"the {content} roses {content}") for start, end in tokens.offsets)
    if tokenizer.mask_id is not None:  # a blank is to be filled in
        mask = tokenizer.pieces([tokenizer.mask_id])[0]
        spelled = next(iter(control.token_ids))
        assert list(tokenizer.tokenize(f"the {mask} roses {spelled}").ids).count(tokenizer.mask_id) == 1


@settings(max_examples=60, deadline=None)
@given(parts=strategies.lists(strategies.sampled_from(["<s>", "</s>", "the roses", " seven  apples ", "\n", "é", "<",
                                                       "[INST]", " "]), max_size=8))
def test_reading_around_control_tokens_is_what_the_whole_pipeline_reads(parts, sentence_tokenizers):
    text = "".join(parts)
    for plain in sentence_tokenizers:
        control = ControlTokens(plain, plain.backend_tokenizer)
        spans = [match.span() for match in control.written_pattern.finditer(text)]
        expected = plain.backend_tokenizer.encode(text, add_special_tokens=False)
        tokens = control.read_around(text, spans)
        assert list(tokens.ids) == expected.ids and list(tokens.offsets) == expected.offsets


@pytest.fixture(scope="module")
def sentence_tokenizers(folders):
    return [with_template(folders[family], "instruct") for family in ("gpt2", "llama")]


def test_without_a_template_each_turn_has_a_line_and_each_answer_an_end(folders):
    tokenizer = FamilyTokenizer(transformers.AutoTokenizer.from_pretrained(folders["gpt2"]), 512)
    laid_out = lay_out(turns(TWO), tokenizer, "prompt")

    def ids(text):
        return list(tokenizer.tokenize(text).ids)

    assert laid_out.ids == [tokenizer.start_id, *ids("The river bank\n"), *ids("seven green apples"), tokenizer.end_id,
                            *ids("Who forgets?\n"), *ids("Every teacher."), tokenizer.end_id]
    assert laid_out.ids[:laid_out.learned[0][0]] == prompt_ids(turns(ONE[:1]), tokenizer, "prompt")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Four pairs that a model learns by heart, a file of their prompts, and one of them as conversations."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [("red", "rose"), ("blue", "sea"), ("green", "leaf"), ("gold", "ring")]
    write(folder / "train.jsonl", [{"prompt": prompt, "response": response} for prompt, response in rows * 10])
    write(folder / "dev.jsonl", [{"prompt": prompt, "response": response} for prompt, response in rows])
    write(folder / "prompts.jsonl", [{"prompt": prompt} for prompt, _ in rows])
    write(folder / "chats.jsonl", [{"messages": [{"role": "user", "content": prompt},
                                                 {"role": "assistant", "content": response},
                                                 {"role": "user", "content": rows[index - 1][0]},
                                                 {"role": "assistant", "content": rows[index - 1][1]}]}
                                   for index, (prompt, response) in enumerate(rows)] * 10)
    write(folder / "asks.jsonl", [{"messages": [{"role": "user", "content": prompt}]} for prompt, _ in rows])
    return folder


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


FLAGS = ["--learning-rate", "5e-3", "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false", "--set",
         "evaluation.generated_samples=2", "--batch-size", "20"]


@pytest.fixture(scope="module", params=["prompt", "headers"])
def taught(request, folders, pairs, tmp_path_factory):
    """A run that knows the pairs, in one of two layouts."""
    from headstart.cli.main import run_guarded

    folder = tmp_path_factory.mktemp("taught")
    model = folders["gpt2"] if request.param == "prompt" else chat_folder(folders["gpt2"], request.param,
                                                                          folder / "model")
    code = run_guarded(["finetune", str(pairs / "train.jsonl"), "--dev", str(pairs / "dev.jsonl"), "--model",
                        str(model), "--to", str(folder / "run"), "--epochs", "40", "--quiet", *FLAGS])
    assert code == 0
    return folder / "run", request.param


def test_a_run_is_asked_as_it_was_trained_by_generate_predict_samples_and_python(taught, pairs, tmp_path, headstart):
    run, name = taught
    layout = "prompt" if name == "prompt" else "chat"
    code, stdout, stderr = headstart("generate", run, "red", "blue", "green", "gold")
    assert (code, stdout.split()) == (0, ["rose", "sea", "leaf", "ring"]) and f"{layout}, learned" in stderr
    code, stdout, _ = headstart("generate", run, "red")
    assert stdout == "rose\n"
    code, stdout, _ = headstart("predict", run, pairs / "prompts.jsonl")
    predictions = [json.loads(line) for line in stdout.splitlines()]
    assert [row["prediction"] for row in predictions] == ["rose", "sea", "leaf", "ring"]
    assert all(-1 < row["log_probability"] < 0 for row in predictions)
    code, stdout, _ = headstart("predict", run, "red")
    assert code == 0 and json.loads(stdout)["prediction"] == "rose"
    code, stdout, _ = headstart("predict", run, pairs / "dev.jsonl")
    assert all(json.loads(line)["perplexity"] < 1.5 for line in stdout.splitlines())
    model = package.load(run)
    assert [row["prediction"] for row in model.generate(["gold"])] == ["ring"]
    assert [row["prediction"] for row in model.predict(["green", {"prompt": "red"}])] == ["leaf", "rose"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "red ▸ rose" in page and json.loads((run / "model" / "headstart.json").read_text())["learned"]["values"][
        "layout"] == layout


def test_first_batch_generate_and_the_library_read_the_same_tokens(taught, pairs):
    run, name = taught
    plain = transformers.AutoTokenizer.from_pretrained(run / "model")
    text = "red" if name != "prompt" else None
    (feature,) = [feature for feature in json.loads((run / "first_batch.json").read_text())["features"]
                  if plain.decode(feature["targets"]["label"], skip_special_tokens=True).strip() == "rose"][:1]
    from headstart.generation.prompts import encode_prompt
    from headstart.settings import Generation

    model = load(str(run / "model"), None, seed=0)
    layout = "prompt" if name == "prompt" else "chat"
    asked, _ = encode_prompt(model, "red", Generation(layout=layout))
    assert feature["ids"][:len(asked)] == asked
    if text is None:
        assert asked == [plain.bos_token_id, *plain("red\n", add_special_tokens=False).input_ids]
        return
    messages = [{"role": "user", "content": "red"}, {"role": "assistant", "content": "rose"}]
    assert asked == library_ids(plain, messages[:1], add_generation_prompt=True)
    assert feature["ids"] == library_ids(plain, messages)


def test_plain_transformers_on_the_run_writes_the_learned_answer_and_stops(taught):
    run, name = taught
    plain = transformers.AutoTokenizer.from_pretrained(run / "model")
    model = transformers.AutoModelForCausalLM.from_pretrained(run / "model")
    inputs = (plain(f"{plain.bos_token}red\n", return_tensors="pt") if name == "prompt" else plain.apply_chat_template(
        [{"role": "user", "content": "red"}], add_generation_prompt=True, return_tensors="pt", return_dict=True))
    ids = model.generate(**inputs, max_new_tokens=20, do_sample=False, pad_token_id=0)[0]
    assert plain.decode(ids[inputs["input_ids"].shape[1]:], skip_special_tokens=True).strip() == "rose"


def test_the_layout_and_the_settings_of_a_run_can_be_overridden(taught, pairs, headstart):
    run, name = taught
    code, stdout, stderr = headstart("generate", run, "red", "--set", "generation.layout=raw")
    assert code == 0 and stdout.startswith("red") and "as they are" in stderr
    code, _, stderr = headstart("generate", run, "red", "--chat")
    assert code == (78 if name == "prompt" else 0), stderr
    code, stdout, _ = headstart("predict", run, pairs / "prompts.jsonl", "--set", "generation.max_new_tokens=1")
    assert [json.loads(line)["prediction"] for line in stdout.splitlines()] != ["rose", "sea", "leaf", "ring"]
    code, _, stderr = headstart("predict", run, pairs / "prompts.jsonl", "--set", "generation.layout=raw")
    assert code == 78 and "generation.layout" in stderr


def test_an_interrupted_prediction_of_responses_resumes(taught, pairs, tmp_path, headstart, monkeypatch):
    from headstart.prediction import journal

    run, _ = taught
    write(tmp_path / "many.jsonl", [{"prompt": prompt} for prompt in ("red", "blue", "green")])
    monkeypatch.setattr(journal, "GENERATION_CHUNK", 1)
    append, count = journal.PredictionJournal.append, 0

    def interrupted(self, predictions):
        nonlocal count
        append(self, predictions)
        count += 1
        if count == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(journal.PredictionJournal, "append", interrupted)
    code, _, _ = headstart("predict", run, tmp_path / "many.jsonl", "--to", tmp_path / "out.jsonl")
    assert code != 0 and not (tmp_path / "out.jsonl").exists()
    monkeypatch.setattr(journal.PredictionJournal, "append", append)
    code, _, stderr = headstart("predict", run, tmp_path / "many.jsonl", "--to", tmp_path / "out.jsonl")
    assert code == 0 and "resuming after row 2" in stderr
    assert [json.loads(line)["prediction"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [
        "rose", "sea", "leaf"]


def test_conversations_are_learned_turn_by_turn_and_continued(folders, pairs, tmp_path, headstart):
    model = chat_folder(folders["gpt2"], "turns", tmp_path / "model")
    code, _, stderr = headstart("finetune", pairs / "chats.jsonl", "--dev", pairs / "chats.jsonl", "--model", model,
                                "--to", tmp_path / "run", "--epochs", 48, *FLAGS)
    assert code == 0 and "chat template" in stderr, stderr
    (feature, *_) = json.loads((tmp_path / "run" / "first_batch.json").read_text())["features"]
    plain = transformers.AutoTokenizer.from_pretrained(model)
    assert plain.decode(feature["targets"]["label"]).count("<end_of_turn>") == 2
    code, stdout, stderr = headstart("predict", tmp_path / "run", pairs / "asks.jsonl")
    assert code == 0 and [json.loads(line)["prediction"] for line in stdout.splitlines()] == ["rose", "sea", "leaf",
                                                                                             "ring"], stderr
    write(tmp_path / "system.jsonl", [{"messages": [{"role": "system", "content": "Be brief."}, *ONE]}])
    code, _, stderr = headstart("predict", tmp_path / "run", tmp_path / "system.jsonl")
    assert code == 65 and "System role not supported" in stderr


def test_rows_that_ask_and_rows_that_are_answered_may_be_mixed(taught, tmp_path, headstart):
    run, _ = taught
    (tmp_path / "mixed.csv").write_text("prompt,response\nred,rose\nblue,\n", encoding="utf-8")
    code, stdout, stderr = headstart("predict", run, tmp_path / "mixed.csv")
    header, scored, generated = (line.split(",") for line in stdout.splitlines())
    assert code == 0 and header == ["prompt", "response", "prediction", "log_probability", "perplexity"], stderr
    assert scored[2] == "" and float(scored[4]) < 1.5 and generated[2] == "sea" and generated[4] == ""


@pytest.mark.parametrize(("messages", "reason"), [
    ([], "empty"), ([{"role": "assistant", "content": "x"}], "begins with an answer"), ("[1]", "a role and a text"),
    ([{"role": "user", "content": " "}], "is empty"), ([{"role": "tool", "content": "x"}], "is the call of a tool"),
    ([{"role": "user", "content": [{"type": "image_url"}]}], "a role and a text")])
def test_what_is_no_conversation_is_a_fault(messages, reason):
    with pytest.raises(RowFault, match=reason):
        LanguageModel().read(Row(0, {"messages": messages}))


def test_a_text_in_parts_is_one_text():
    parts = [{"type": "text", "text": "The "}, {"type": "text", "text": "roses"}]
    example = LanguageModel().read(Row(0, {"messages": json.dumps([{"role": "user", "content": parts}])}))
    assert example.asks and example.conversation == (Turn("user", "The roses"),)


def test_prompts_without_responses_are_no_training_data(pairs, folders, headstart):
    code, _, stderr = headstart("finetune", pairs / "prompts.jsonl", "--task", "language-model", "--prompt", "prompt",
                                "--model", folders["gpt2"])
    assert code == 65 and "E202" in stderr and "no response" in stderr
    model = package.load(folders["gpt2"], "language-model")
    with pytest.raises((UserError, DataError)):
        model.evaluate([{"prompt": "red"}])


def test_a_published_model_is_asked_raw_and_told_of_its_template(folders, tmp_path, headstart):
    model = chat_folder(folders["llama"], "chatml", tmp_path / "model")
    code, stdout, stderr = headstart("generate", model, "The", "--max-new-tokens", 2)
    assert code == 0 and stdout.startswith("The") and "--chat uses it" in stderr
    code, stdout, stderr = headstart("generate", model, "The", "--max-new-tokens", 2, "--chat")
    assert code == 0 and not stdout.startswith("The") and "chat template" in stderr


def test_a_changed_layout_in_the_artifact_is_refused(taught, tmp_path):
    from headstart.contract import Learned
    from headstart.tasks.shared.prompt_layout import learned_layout

    with pytest.raises(UserError, match="laid out as 'sideways'"):
        learned_layout(LanguageModel(None, Learned(values={"layout": "sideways"})))


def test_many_conversations_are_rendered_at_once_and_are_what_each_is_alone(folders, monkeypatch):
    from headstart.data.features.features import Features

    tokenizer = FamilyTokenizer(with_template(folders["gpt2"], "instruct"), 512)
    task = LanguageModel()
    rows = [{"prompt": f"{number} {SPELLED}", "response": "yes"} for number in range(20)] + [{"messages": TWO}]
    examples = [task.read(Row(index, row)) for index, row in enumerate(rows)]
    alone = [list(task.encode(example, tokenizer)[0].ids) for example in examples]
    asked = []
    render = tokenizer.chat.template.render
    monkeypatch.setattr(tokenizer.chat.template, "render", lambda texts: asked.append(len(texts)) or render(texts))
    features = Features.encode(task, examples, tokenizer, seed=None)
    assert [list(feature.ids) for feature in features] == alone and len(asked) == 1
    odd = task.read(Row(99, {"messages": [{"role": "system", "content": "x"}, *ONE]}))  # roles must alternate
    tokenizer.chat.read_ahead([])
    with pytest.raises(UserError, match="alternate"):
        Features.encode(task, [*examples, odd], tokenizer, seed=None)


def test_a_template_may_be_one_of_several(folders, tmp_path):
    folder = shutil.copytree(chat_folder(folders["gpt2"], "tags", tmp_path / "model"), tmp_path / "copy")
    plain = transformers.AutoTokenizer.from_pretrained(folder)
    expected = library_ids(plain, ONE)
    plain.chat_template = {"default": plain.chat_template, "tool_use": "{{ 1 }}"}
    assert FamilyTokenizer(plain, 512).chat.ids([(ONE, False)]) == [expected]
    plain.chat_template = {"tool_use": "{{ 1 }}"}
    with pytest.raises(UserError, match="default"):
        FamilyTokenizer(plain, 512).chat.ids([(ONE, False)])
