"""Transformer-XL: our own model says what the formulas say, and keeps the published names."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from transfo_xl_oracle import Oracle

import headstart.models.register
from headstart.errors import UserError
from headstart.models.transfo_xl.config import TransfoXLConfig
from headstart.models.transfo_xl.heads import (
    TransfoXLForQuestionAnswering,
    TransfoXLForSequenceClassification,
    TransfoXLForTokenClassification,
    TransfoXLLMHeadModel,
)
from headstart.models.transfo_xl.model import TransfoXLModel

BASE = {"vocab_size": 43, "cutoffs": [11, 20], "d_model": 16, "d_embed": 16, "n_head": 2, "d_head": 6, "d_inner": 20,
        "div_val": 2, "n_layer": 2, "mem_len": 5, "clamp_len": 4, "same_length": True}
VARIANTS = {
    "published form": {},
    "long memory": {"mem_len": 12},
    "memory shorter than the segment": {"mem_len": 2},
    "distances not clamped": {"clamp_len": -1},
    "all that came before": {"same_length": False},
    "norms first": {"pre_lnorm": True},
    "no memory": {"mem_len": 0, "same_length": False},
    "no memory, same length": {"mem_len": 0},
    "vectors four times shorter": {"div_val": 4},
    "one table": {"div_val": 1},
    "one table, projected": {"div_val": 1, "d_embed": 12},
    "projections of its own": {"proj_share_all_but_first": False},
    "tables of its own": {"tie_word_embeddings": False},
    "narrow vectors": {"d_embed": 8},
    "one bias for all layers": {"untie_r": False},
    "one bias, own tables": {"untie_r": False, "tie_word_embeddings": False},
    "no clusters": {"cutoffs": []},
    "uniform first values": {"init": "uniform", "pre_lnorm": True, "same_length": False},
}


def made(cls=TransfoXLLMHeadModel, seed=0, **changes):
    """A model with weights far from their small first values, so that a fault would show."""
    torch.manual_seed(seed)
    module = cls(TransfoXLConfig(**BASE | changes)).eval()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            spread = 0.3 if "layer_norm" not in name else 0.1
            weight.add_(torch.randn_like(weight) * spread)
    return module


def words(rows, length, seed=1, size=43):
    return torch.randint(0, size, (rows, length), generator=torch.Generator().manual_seed(seed))


def near(found, expected):
    expected = np.asarray(expected)
    found = found.detach().numpy()
    assert found.shape == expected.shape
    assert np.all(np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))), np.abs(found - expected).max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_model_says_what_the_formulas_say(variant):
    module = made(**VARIANTS[variant])
    oracle = Oracle(module)
    first, second = words(2, 7), words(2, 4, seed=2)
    mems = None
    memories = [None, None]
    for ids in (first, second):
        found = module(ids, mems=mems, output_hidden_states=True, output_attentions=True)
        lost = module(ids, mems=mems, labels=ids)
        for row in range(2):
            states, attentions, memories[row] = oracle.segment(ids[row].tolist(), memories[row])
            for layer, expected in enumerate(states):
                near(found.hidden_states[layer][row], expected)
            for layer, expected in enumerate(attentions):
                near(found.attentions[layer][row], expected)
            expected = np.array([oracle.log_probabilities(state) for state in states[-1]])
            near(found.logits[row], expected)
            near(lost.losses[row], [-expected[place, ids[row, place + 1]] for place in range(ids.shape[1] - 1)])
            for layer, kept in enumerate(memories[row]):
                if kept:
                    near(found.mems[layer][:, row], kept)
        assert lost.loss.item() == pytest.approx(lost.losses.mean().item(), abs=1e-6)
        mems = found.mems


def test_a_memory_keeps_nothing_to_differentiate():
    module = made()
    found = module(words(1, 4))
    assert all(memory.shape == (5, 1, 16) and not memory.requires_grad for memory in found.mems)


def test_a_text_in_segments_says_what_the_whole_says():
    module, ids = made(mem_len=20), words(2, 17)
    whole = module(ids).logits
    found, mems = [], None
    for part in ids.split([5, 1, 8, 3], dim=1):
        step = module(part, mems=mems)
        found, mems = [*found, step.logits], step.mems
    near(torch.cat(found, 1), whole.detach())


def test_outputs_end_with_states_and_attentions():
    module = made(TransfoXLModel)
    states, attentions = module(words(1, 3), output_hidden_states=True, output_attentions=True)[-2:]
    assert len(states) == 3 and len(attentions) == 2
    assert isinstance(module(words(1, 3), return_dict=False), tuple)


@pytest.mark.parametrize("changes", [{}, {"same_length": False}, {"pre_lnorm": True, "mem_len": 3}, {"mem_len": 0}],
                         ids=["usual", "all before", "norms first", "no memory"])
@pytest.mark.parametrize("side", ["right", "left", "between"])
def test_padding_changes_no_word_and_leaves_no_memory(side, changes):
    module = made(TransfoXLModel, **changes)
    rows = [words(1, length, seed=length)[0] for length in (6, 2, 4)]
    places = {"right": [range(6), range(2), range(4)], "left": [range(6), range(4, 6), range(2, 6)],
              "between": [range(6), (1, 4), (0, 1, 3, 5)]}[side]
    mems, alone_mems = None, [None] * 3
    for _ in range(2):
        ids, mask = torch.full((3, 6), 7), torch.zeros(3, 6, dtype=torch.long)
        for row, (text, here) in enumerate(zip(rows, places, strict=True)):
            ids[row, list(here)], mask[row, list(here)] = text, 1
        found = module(ids, mems=mems, attention_mask=mask, output_attentions=True)
        for row, (text, here) in enumerate(zip(rows, places, strict=True)):
            alone = module(text[None], mems=alone_mems[row], output_attentions=True)
            near(found.last_hidden_state[row, list(here)], alone.last_hidden_state[0].detach())
            memory = alone.attentions[0].shape[-1] - len(text)
            columns = [*range(memory), *(memory + place for place in here)]
            near(found.attentions[1][row][:, list(here)][:, :, columns], alone.attentions[1][0].detach())
            if alone.mems:
                near(found.mems[1][:, row], alone.mems[1][:, 0])
            alone_mems[row] = alone.mems
        mems = found.mems


def test_losses_stand_at_their_words_and_labels_stay_as_they_were():
    module, ids = made(), words(3, 8)
    labels = ids.clone()
    labels[0, :5] = -100
    labels[1] = -100
    kept = labels.clone()
    found = module(ids, labels=labels)
    assert torch.equal(labels, kept)
    full = module(ids).logits
    expected = -full[:, :-1].gather(2, ids[:, 1:, None])[..., 0] * (labels[:, 1:] != -100)
    near(found.losses, expected.detach())
    assert found.loss.item() == pytest.approx((expected.sum() / (labels[:, 1:] != -100).sum()).item(), abs=1e-6)
    assert module(ids, labels=torch.full_like(ids, -100)).loss.item() == 0


def test_padding_takes_no_part_in_the_loss():
    module, ids = made(), words(1, 5)
    padded = torch.cat([torch.full((1, 2), 3), ids, torch.full((1, 1), 3)], 1)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 0]])
    near(module(padded, attention_mask=mask, labels=padded).loss, module(ids, labels=ids).loss.detach())


def test_the_training_loss_never_builds_the_whole_vocabulary():
    module = made(vocab_size=5000, cutoffs=[11, 20])
    widths = []
    original = module.crit.normalised
    module.crit.normalised = lambda *inputs: widths.append(tuple(original(*inputs).shape)) or original(*inputs)
    ids = words(2, 9, size=20)
    module(ids, labels=ids)
    assert max(width for _, width in widths) == 13  # 11 words and two clusters; the third cluster never came
    ids[0, 3] = 4000
    module(ids, labels=ids)
    assert [shape for shape in widths if shape[1] > 13] == [(1, 4980)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_weight_learns(variant):
    module = made(**VARIANTS[variant]).train()
    ids = torch.arange(43).repeat(2)[None]
    found = module(ids[:, :50], labels=ids[:, :50])
    module(ids, mems=found.mems, labels=ids).loss.backward()
    still = [name for name, weight in module.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert still == []


def recomputed(module, ids, steps, mask=None):
    """Greedy writing with the whole text read anew for each word."""
    for _ in range(steps):
        following = module(ids, attention_mask=mask).logits[:, -1].argmax(-1)
        ids = torch.cat([ids, following[:, None]], 1)
        mask = None if mask is None else torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
    return ids


@pytest.mark.parametrize("changes", [{}, {"mem_len": 30}, {"pre_lnorm": True}, {"mem_len": 0}, {"div_val": 1}],
                         ids=["short memory", "long memory", "norms first", "no memory", "one table"])
def test_writing_with_memories_is_writing_with_the_whole_text_read_anew(changes):
    module, ids = made(eos_token_id=None, **changes), words(2, 6)
    expected = recomputed(module, ids, 10)
    assert torch.equal(module.generate(ids, max_new_tokens=10, do_sample=False), expected)
    assert torch.equal(module.generate(ids, max_new_tokens=10, do_sample=False, use_cache=False), expected)


@pytest.mark.parametrize("how", [{"num_beams": 3, "do_sample": False}, {"do_sample": True, "top_p": 0.9, "num_return_sequences": 2},
                                 {"num_beams": 2, "do_sample": True}], ids=["beams", "sampling", "sampled beams"])
def test_beams_and_samples_carry_their_own_memories(how):
    module, ids = made(eos_token_id=None), words(2, 6)
    texts = []
    for use_cache in (True, False):
        torch.manual_seed(5)
        texts.append(module.generate(ids, max_new_tokens=8, use_cache=use_cache, **how))
    assert torch.equal(*texts)


def test_prompts_of_unlike_lengths_are_written_on_together():
    module = made(eos_token_id=None)
    prompts = [words(1, length, seed=length) for length in (3, 7)]
    padded = torch.cat([torch.cat([torch.full((1, 4), 2), prompts[0]], 1), prompts[1]])
    mask = torch.tensor([[0] * 4 + [1] * 3, [1] * 7])
    together = module.generate(padded, attention_mask=mask, max_new_tokens=6, do_sample=False)
    for row, prompt in enumerate(prompts):
        assert torch.equal(together[row, 7:], module.generate(prompt, max_new_tokens=6, do_sample=False)[0, prompt.shape[1]:])


@pytest.mark.parametrize("how", [{}, {"use_cache": False}, {"num_beams": 2}])
def test_writing_goes_on_after_a_memory(how):
    module, ids = made(mem_len=30, eos_token_id=None), words(2, 9)
    expected = module.generate(ids, max_new_tokens=6, do_sample=False, **how)[:, 9:]
    mems = module(ids[:, :5]).mems
    found = module.generate(ids[:, 5:], mems=mems, max_new_tokens=6, do_sample=False, **how)[:, 4:]
    assert torch.equal(found, expected)


def test_only_the_last_places_are_scored_when_no_more_are_asked_for():
    module, ids = made(), words(2, 6)
    near(module(ids, logits_to_keep=2).logits, module(ids).logits[:, -2:].detach())


def test_vectors_may_be_given_for_words():
    module, ids = made(), words(2, 6)
    vectors = module.get_input_embeddings()(ids)
    near(module(inputs_embeds=vectors).logits, module(ids).logits.detach())
    expected = module.generate(ids, max_new_tokens=3, do_sample=False)[:, 6:]
    assert torch.equal(module.generate(inputs_embeds=vectors, max_new_tokens=3, do_sample=False), expected)


def same(one, other, ids):
    """The same weights to the bit, what was one weight still is one, and the same outputs."""
    weights = other.state_dict()
    assert all(torch.equal(weight, weights.pop(name)) for name, weight in one.state_dict().items()) and not weights
    assert [name for name, _ in one.named_parameters()] == [name for name, _ in other.named_parameters()]
    near(one.eval()(ids)[0], other.eval()(ids)[0].detach())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_model_is_the_same_when_loaded(variant, tmp_path):
    module, ids = made(**VARIANTS[variant]), words(2, 6)
    module.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "transfo-xl" and config["architectures"] == ["TransfoXLLMHeadModel"]
    loaded, told = TransfoXLLMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values())
    same(loaded, module, ids)
    loaded.save_pretrained(tmp_path / "again")
    same(TransfoXLLMHeadModel.from_pretrained(tmp_path / "again"), module, ids)


def test_a_state_dict_with_every_copy_loads_as_the_old_files_have_it(tmp_path):
    module, ids = made(untie_r=False), words(2, 6)
    module.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(module.state_dict(), tmp_path / "pytorch_model.bin")
    loaded, told = TransfoXLLMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values())
    same(loaded, module, ids)


HEADS = {TransfoXLForSequenceClassification: {"score.weight"},
         TransfoXLForTokenClassification: {"classifier.weight", "classifier.bias"},
         TransfoXLForQuestionAnswering: {"qa_outputs.weight", "qa_outputs.bias"}}


@pytest.mark.parametrize("cls", HEADS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("untie_r", [True, False])
def test_a_head_takes_the_backbone_of_a_language_model(cls, untie_r, tmp_path):
    module = made(untie_r=untie_r)
    module.save_pretrained(tmp_path / "words")
    loaded, told = cls.from_pretrained(tmp_path / "words", num_labels=3 if "Answering" not in cls.__name__ else 2,
                                       output_loading_info=True)
    assert told["missing_keys"] == HEADS[cls]
    loaded.eval().save_pretrained(tmp_path / "head")
    again, told = cls.from_pretrained(tmp_path / "head", output_loading_info=True)
    assert not any(told.values())
    same(again, loaded, words(2, 5))


def test_a_text_is_judged_by_its_last_word():
    module = made(TransfoXLForSequenceClassification, num_labels=3)
    ids = words(1, 4)
    alone = module(ids).logits
    for before, after in ((0, 3), (2, 1)):
        padded = torch.cat([torch.full((1, before), 9), ids, torch.full((1, after), 9)], 1)
        mask = torch.tensor([[0] * before + [1] * 4 + [0] * after])
        near(module(padded, attention_mask=mask).logits, alone.detach())
    module.config.pad_token_id = 42
    near(module(torch.cat([ids, torch.full((1, 3), 42)], 1)).logits, alone.detach())


def test_heads_give_the_usual_losses():
    ids, mask = words(2, 5), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    texts = made(TransfoXLForSequenceClassification, num_labels=3)
    found = texts(ids, attention_mask=mask, labels=torch.tensor([2, 0]))
    near(found.loss, torch.nn.functional.cross_entropy(found.logits, torch.tensor([2, 0])).detach())
    assert made(TransfoXLForSequenceClassification, num_labels=1)(ids, labels=torch.tensor([0.5, 1.0])).loss > 0
    tokens = made(TransfoXLForTokenClassification, num_labels=3)
    labels = torch.tensor([[0, 1, 2, -100, 1], [1, 1, 0, -100, -100]])
    found = tokens(ids, attention_mask=mask, labels=labels)
    near(found.loss, torch.nn.functional.cross_entropy(found.logits.flatten(0, 1), labels.flatten()).detach())
    spans = made(TransfoXLForQuestionAnswering)
    found = spans(ids, start_positions=torch.tensor([0, 1]), end_positions=torch.tensor([3, 2]))
    expected = sum(torch.nn.functional.cross_entropy(scores, torch.tensor(places)) for scores, places in
                   ((found.start_logits, [0, 1]), (found.end_logits, [3, 2]))) / 2
    near(found.loss, expected.detach())


def test_the_auto_classes_know_it(tmp_path):
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    headstart.models.register.register()  # a second time
    module = made()
    module.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is TransfoXLConfig
    for auto, cls in ((AutoModel, TransfoXLModel), (AutoModelForCausalLM, TransfoXLLMHeadModel),
                      *zip((AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoModelForQuestionAnswering),
                           HEADS, strict=True)):
        assert type(auto.from_pretrained(tmp_path)) is cls


def test_the_package_stays_light():
    code = ("import sys, headstart.models.families.transfo_xl; "
            "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'sacremoses')))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


OLD = {"adaptive": True, "architectures": ["TransfoXLLMHeadModel"], "attn_type": 0, "clamp_len": 1000,
       "cutoffs": [20000, 40000, 200000], "d_embed": 1024, "d_head": 64, "d_inner": 4096, "d_model": 1024, "div_val": 4,
       "dropatt": 0.0, "dropout": 0.1, "eos_token_id": 0, "init": "normal", "init_range": 0.01, "init_std": 0.02,
       "layer_norm_epsilon": 1e-05, "mem_len": 1600, "model_type": "transfo-xl", "n_head": 16, "n_layer": 18,
       "pre_lnorm": False, "proj_init_std": 0.01, "same_length": True, "sample_softmax": -1,
       "tie_projs": [False, True, True, True], "tie_weight": True, "untie_r": True, "vocab_size": 267735}


def published_shapes():
    shapes = {}
    for cluster, (size, width) in enumerate(((20000, 1024), (20000, 256), (160000, 64), (67735, 16))):
        shapes[f"transformer.word_emb.emb_layers.{cluster}.weight"] = (size, width)
        shapes[f"transformer.word_emb.emb_projs.{cluster}"] = (1024, width)
        shapes[f"crit.out_layers.{cluster}.weight"] = (size, width)
        shapes[f"crit.out_layers.{cluster}.bias"] = (size,)
        shapes[f"crit.out_projs.{cluster}"] = (1024, width)
    for layer in range(18):
        prefix = f"transformer.layers.{layer}."
        shapes |= {f"{prefix}dec_attn.{name}": shape for name, shape in (
            ("r_w_bias", (16, 64)), ("r_r_bias", (16, 64)), ("qkv_net.weight", (3072, 1024)), ("o_net.weight", (1024, 1024)),
            ("r_net.weight", (1024, 1024)), ("layer_norm.weight", (1024,)), ("layer_norm.bias", (1024,)))}
        shapes |= {f"{prefix}pos_ff.{name}": shape for name, shape in (
            ("CoreNet.0.weight", (4096, 1024)), ("CoreNet.0.bias", (4096,)), ("CoreNet.3.weight", (1024, 4096)),
            ("CoreNet.3.bias", (1024,)), ("layer_norm.weight", (1024,)), ("layer_norm.bias", (1024,)))}
    return shapes | {"transformer.pos_emb.inv_freq": (512,), "crit.cluster_weight": (3, 1024), "crit.cluster_bias": (3,)}


def test_names_and_shapes_are_the_published_ones():
    config = TransfoXLConfig.from_dict(OLD)
    assert TransfoXLConfig().to_diff_dict() == TransfoXLConfig(**{key: OLD[key] for key in ("cutoffs", "tie_projs")}).to_diff_dict()
    with torch.device("meta"):
        module = TransfoXLLMHeadModel(config)
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert shapes == published_shapes() and len(shapes) == 257
    assert sum(weight.numel() for weight in module.parameters()) == 285_205_322
    assert sum(weight.numel() for weight in module.transformer.layers[0].parameters()) == 13_642_752


def test_first_values_are_drawn_as_the_config_says():
    torch.manual_seed(0)
    module = TransfoXLLMHeadModel(TransfoXLConfig(**BASE | {"d_model": 64, "d_inner": 256, "d_embed": 64}))
    assert module.transformer.layers[0].pos_ff.CoreNet[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert module.transformer.word_emb.emb_projs[0].std().item() == pytest.approx(0.01, rel=0.1)
    assert module.crit.out_projs[0].std().item() == pytest.approx(0.01, rel=0.1)
    assert module.transformer.layers[0].dec_attn.layer_norm.weight.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(module.crit.cluster_bias, torch.zeros(2))
    assert all(weight.isfinite().all() and weight.abs().max() < 2 for weight in module.parameters())


@pytest.mark.parametrize("changes, word", [
    ({"cutoffs": [20, 11]}, "cutoffs"), ({"cutoffs": [50]}, "cutoffs"), ({"div_val": 0}, "div_val"), ({"d_embed": 2}, "div_val"),
    ({"tie_projs": [True]}, "tie_projs"), ({"d_model": 15}, "even"), ({"mem_len": -1}, "mem_len"), ({"attn_type": 2}, "attn_type"),
    ({"sample_softmax": 9}, "sample_softmax"), ({"init": "zeros"}, "init")])
def test_a_config_that_makes_no_model_is_refused(changes, word):
    with pytest.raises(UserError, match=word):
        TransfoXLConfig(**BASE | changes)


def test_what_does_not_fit_is_refused_in_words():
    module, ids = made(), words(2, 4)
    mems = module(ids).mems
    for wrong in ({"mems": mems[:1]}, {"mems": [memory[:, :1] for memory in mems]}, {"mems": []},
                  {"attention_mask": torch.ones(2, 3)}, {"attention_mask": torch.ones(2, 1, 4, 4)},
                  {"labels": ids[:, :2]}, {"inputs_embeds": torch.zeros(2, 4, 16)}):
        with pytest.raises(UserError):
            module(ids, **wrong)
    for wrong in (ids + 40, ids - 43):
        with pytest.raises(UserError, match="Word ids must be from 0 to 42"):
            module(wrong)
    with pytest.raises(UserError, match="keeps its 43 words"):
        module.resize_token_embeddings(50)
    assert module.resize_token_embeddings(43) is module.get_input_embeddings()


def test_half_precision_stays_near():
    module, ids = made(), words(2, 6)
    expected = module(ids).logits.exp()
    found = module.to(torch.bfloat16)(ids).logits.exp()
    assert (found - expected).abs().max() < 2e-2


@pytest.mark.slow
def test_the_published_size_runs_within_8_gigabytes():
    code = """
import resource, torch
from headstart.models.transfo_xl.config import TransfoXLConfig
from headstart.models.transfo_xl.heads import TransfoXLLMHeadModel
module = TransfoXLLMHeadModel(TransfoXLConfig()).eval()
ids = torch.arange(0, 267735, 2100)[None]
with torch.no_grad():
    found = module(ids)
    following = module(ids, mems=found.mems, labels=ids)
assert found.logits.shape == (1, 128, 267735) and len(found.mems) == 18 and found.mems[0].shape == (1600, 1, 1024)
assert abs(float(found.logits[0, -1].exp().sum()) - 1) < 1e-3 and following.losses.shape == (1, 127)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    finished = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(finished.stdout.split()[-1]) < 8 * 2**20  # kilobytes
