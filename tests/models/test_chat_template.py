"""A chat template is a foreign program: whatever it does, it ends in words, and never holds a run up."""

import json
import os
import pickle
import shutil
import threading

import pytest
import tiny
import transformers

from headstart.errors import Exit, UserError
from headstart.models.tokenizers import chat_template
from headstart.models.tokenizers.chat_template import ChatTemplate

MESSAGES = [{"role": "user", "content": "Hi </s> é \ud83d"}]
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<answer>{% endif %}"
LOOPS = "".join(f"{{% for {name} in range(99999) %}}" for name in "abcd") + "{% endfor %}" * 4
HOSTILE = {
    "endless loops": LOOPS,
    "endless recursion without a loop": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
                                        "{{ f(60) }}",
    "a number without end": "{% set n = namespace(v=10**9) %}{% for i in range(30) %}{% set n.v = n.v * n.v %}{% endfor %}",
    "memory": "{{ 'a' * 10**12 }}",
    "doubling": "{% set n = namespace(v='ab') %}{% for i in range(60) %}{% set n.v = n.v ~ n.v %}{% endfor %}{{ n.v }}",
    "too much text": "{{ 'a' * 9000000 }}",
    "too large": "x" * 300_000,
    "what lies under a text": "{{ ''.__class__.__mro__ }}",
    "what lies under a function": "{{ cycler.__init__.__globals__ }}",
}
BROKEN = {"syntax": "{% if %}", "no such message": "{{ messages[7].content.x }}", "zero": "{{ 1 / 0 }}",
          "deep": "{{" + "(" * 9000 + "1" + ")" * 9000 + "}}", "another file": "{% include '/etc/passwd' %}",
          "no filter": "{{ messages | shell }}", "a loop that never was": "{{ loop.index }}"}


@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    monkeypatch.setattr(chat_template, "SECONDS", 0.4)
    monkeypatch.setattr(chat_template, "MEMORY", 300_000_000)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_refused_and_never_runs_on(name):
    with pytest.raises(UserError) as error:
        ChatTemplate(HOSTILE[name], {}).render([(MESSAGES, True)])
    assert error.value.exit is Exit.REFUSED, error.value
    assert "task.chat=false" in error.value.fix


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_template_is_told_with_what_is_wrong(name):
    with pytest.raises(UserError) as error:
        ChatTemplate(BROKEN[name], {}).render([(MESSAGES, True)])
    assert error.value.exit is Exit.UNAVAILABLE, error.value


def test_a_template_that_ends_is_rendered_as_the_library_renders_it():
    template = ChatTemplate(PLAIN, {})
    (text,) = template.render([(MESSAGES, True)])
    assert text == "<user>Hi </s> é \ud83d<answer>"
    with pytest.raises(UserError):
        ChatTemplate(HOSTILE["memory"], {}).render([(MESSAGES, True)])
    (again,) = template.render([(MESSAGES, True)])
    assert again == text


def test_a_refused_conversation_is_a_fault_of_the_data_and_the_next_is_rendered():
    template = ChatTemplate("{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}ok", {})
    with pytest.raises(UserError, match="one turn only") as error:
        template.render([(MESSAGES * 2, False)])
    assert error.value.exit is Exit.DATA and template.render([(MESSAGES, True)] * 2) == ["ok", "ok"]


def test_threads_share_one_and_copies_in_other_processes_have_their_own():
    template, texts = ChatTemplate(PLAIN, {}), []

    def render(word):
        texts.extend(template.render([([{"role": "user", "content": word}], False)] * 20))

    threads = [threading.Thread(target=render, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == sorted(f"<user>{number}" for number in range(6) for _ in range(20))
    copied = pickle.loads(pickle.dumps(template))
    assert copied.process is None and copied.render([(MESSAGES, True)]) == template.render([(MESSAGES, True)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_leaves_the_process_of_its_parent_alone():
    template = ChatTemplate(PLAIN, {})
    template.render([(MESSAGES, True)])
    parent_process = template.process
    child = os.fork()
    if not child:
        same = template.render([(MESSAGES, True)]) and template.process is not parent_process
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert template.render([(MESSAGES, True)]) and template.process is parent_process


@pytest.mark.parametrize(("template", "code"), [(LOOPS, 77), ("{% if %}", 69), ("x" * 300_000, 77),
                                                ("{{ raise_exception('no') }}", 65)])
def test_every_command_ends_in_words_over_a_bad_template(template, code, tmp_path, headstart):
    folder = tiny.model_folder("gpt2", tmp_path / "model", "causal-language-model", seed=2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    shutil.rmtree(folder / "additional_chat_templates", ignore_errors=True)
    tokenizer.save_pretrained(folder)
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps({"prompt": f"red {number}", "response": "rose"}) + "\n"
                                                  for number in range(30)))
    found, _, stderr = headstart("generate", folder, "red", "--chat", "--max-new-tokens", 2)
    assert found == code, stderr
    found, _, stderr = headstart("finetune", tmp_path / "pairs.jsonl", "--model", folder, "--to", tmp_path / "run")
    assert found == code, stderr
    found, _, stderr = headstart("predict", folder, tmp_path / "pairs.jsonl", "--task", "language-model")
    assert found == code, stderr
    found, stdout, stderr = headstart("generate", folder, "red", "--max-new-tokens", 2)
    assert found == 0 and stdout.startswith("red"), stderr
