"""Transformer-XL: our own model computes what the formulas say, and keeps the published names."""

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


def build(cls=TransfoXLLMHeadModel, seed=0, **changes):
    """A model with weights far from their small first values, so that a fault would show."""
    torch.manual_seed(seed)
    module = cls(TransfoXLConfig(**BASE | changes)).eval()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            spread = 0.3 if "layer_norm" not in name else 0.1
            weight.add_(torch.randn_like(weight) * spread)
    return module


def random_ids(rows, length, seed=1, size=43):
    return torch.randint(0, size, (rows, length), generator=torch.Generator().manual_seed(seed))


def assert_close(actual, expected):
    expected = np.asarray(expected)
    actual = actual.detach().numpy()
    assert actual.shape == expected.shape
    assert np.all(np.abs(actual - expected) <= 1e-5 * np.maximum(1, np.abs(expected))), np.abs(actual - expected).max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_model_computes_what_the_formulas_say(variant):
    module = build(**VARIANTS[variant])
    oracle = Oracle(module)
    first_ids, second_ids = random_ids(2, 7), random_ids(2, 4, seed=2)
    mems = None
    memories = [None, None]
    for ids in (first_ids, second_ids):
        output = module(ids, mems=mems, output_hidden_states=True, output_attentions=True)
        loss_output = module(ids, mems=mems, labels=ids)
        for row in range(2):
            states, attentions, memories[row] = oracle.segment(ids[row].tolist(), memories[row])
            for layer, expected in enumerate(states):
                assert_close(output.hidden_states[layer][row], expected)
            for layer, expected in enumerate(attentions):
                assert_close(output.attentions[layer][row], expected)
            expected = np.array([oracle.log_probabilities(state) for state in states[-1]])
            assert_close(output.logits[row], expected)
            assert_close(loss_output.losses[row], [-expected[index, ids[row, index + 1]]
                                                   for index in range(ids.shape[1] - 1)])
            for layer, memory in enumerate(memories[row]):
                if memory:
                    assert_close(output.mems[layer][:, row], memory)
        assert loss_output.loss.item() == pytest.approx(loss_output.losses.mean().item(), abs=1e-6)
        mems = output.mems


def test_a_memory_keeps_nothing_to_differentiate():
    module = build()
    output = module(random_ids(1, 4))
    assert all(memory.shape == (5, 1, 16) and not memory.requires_grad for memory in output.mems)


def test_a_text_in_segments_gives_the_logits_of_the_whole_text():
    module, ids = build(mem_len=20), random_ids(2, 17)
    expected = module(ids).logits
    logits, mems = [], None
    for segment in ids.split([5, 1, 8, 3], dim=1):
        output = module(segment, mems=mems)
        logits, mems = [*logits, output.logits], output.mems
    assert_close(torch.cat(logits, 1), expected.detach())


def test_outputs_end_with_states_and_attentions():
    module = build(TransfoXLModel)
    states, attentions = module(random_ids(1, 3), output_hidden_states=True, output_attentions=True)[-2:]
    assert len(states) == 3 and len(attentions) == 2
    assert isinstance(module(random_ids(1, 3), return_dict=False), tuple)


@pytest.mark.parametrize("changes", [{}, {"same_length": False}, {"pre_lnorm": True, "mem_len": 3}, {"mem_len": 0}],
                         ids=["usual", "all before", "norms first", "no memory"])
@pytest.mark.parametrize("side", ["right", "left", "between"])
def test_padding_changes_no_word_and_leaves_no_memory(side, changes):
    module = build(TransfoXLModel, **changes)
    rows = [random_ids(1, length, seed=length)[0] for length in (6, 2, 4)]
    placements = {"right": [range(6), range(2), range(4)], "left": [range(6), range(4, 6), range(2, 6)],
              "between": [range(6), (1, 4), (0, 1, 3, 5)]}[side]
    mems, alone_mems = None, [None] * 3
    for _ in range(2):
        ids, mask = torch.full((3, 6), 7), torch.zeros(3, 6, dtype=torch.long)
        for row, (text, positions) in enumerate(zip(rows, placements, strict=True)):
            ids[row, list(positions)], mask[row, list(positions)] = text, 1
        output = module(ids, mems=mems, attention_mask=mask, output_attentions=True)
        for row, (text, positions) in enumerate(zip(rows, placements, strict=True)):
            alone = module(text[None], mems=alone_mems[row], output_attentions=True)
            assert_close(output.last_hidden_state[row, list(positions)], alone.last_hidden_state[0].detach())
            memory = alone.attentions[0].shape[-1] - len(text)
            columns = [*range(memory), *(memory + position for position in positions)]
            assert_close(output.attentions[1][row][:, list(positions)][:, :, columns], alone.attentions[1][0].detach())
            if alone.mems:
                assert_close(output.mems[1][:, row], alone.mems[1][:, 0])
            alone_mems[row] = alone.mems
        mems = output.mems


def test_losses_are_per_token_and_labels_stay_unchanged():
    module, ids = build(), random_ids(3, 8)
    labels = ids.clone()
    labels[0, :5] = -100
    labels[1] = -100
    labels_before = labels.clone()
    output = module(ids, labels=labels)
    assert torch.equal(labels, labels_before)
    full = module(ids).logits
    expected = -full[:, :-1].gather(2, ids[:, 1:, None])[..., 0] * (labels[:, 1:] != -100)
    assert_close(output.losses, expected.detach())
    assert output.loss.item() == pytest.approx((expected.sum() / (labels[:, 1:] != -100).sum()).item(), abs=1e-6)
    assert module(ids, labels=torch.full_like(ids, -100)).loss.item() == 0


def test_padding_takes_no_part_in_the_loss():
    module, ids = build(), random_ids(1, 5)
    padded = torch.cat([torch.full((1, 2), 3), ids, torch.full((1, 1), 3)], 1)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 0]])
    assert_close(module(padded, attention_mask=mask, labels=padded).loss, module(ids, labels=ids).loss.detach())


def test_the_training_loss_never_builds_the_whole_vocabulary():
    module = build(vocab_size=5000, cutoffs=[11, 20])
    widths = []
    original = module.crit.cluster_log_softmax
    module.crit.cluster_log_softmax = lambda *inputs: widths.append(tuple(original(*inputs).shape)) or original(*inputs)
    ids = random_ids(2, 9, size=20)
    module(ids, labels=ids)
    assert max(width for _, width in widths) == 13  # 11 words and two clusters; the third cluster never came
    ids[0, 3] = 4000
    module(ids, labels=ids)
    assert [shape for shape in widths if shape[1] > 13] == [(1, 4980)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_weight_learns(variant):
    module = build(**VARIANTS[variant]).train()
    ids = torch.arange(43).repeat(2)[None]
    output = module(ids[:, :50], labels=ids[:, :50])
    module(ids, mems=output.mems, labels=ids).loss.backward()
    untrained = [name for name, weight in module.named_parameters() if weight.grad is None
                 or not weight.grad.abs().sum() > 0]
    assert untrained == []


def recomputed(module, ids, steps, mask=None):
    """Greedy decoding that reads the whole text again for each token."""
    for _ in range(steps):
        next_ids = module(ids, attention_mask=mask).logits[:, -1].argmax(-1)
        ids = torch.cat([ids, next_ids[:, None]], 1)
        mask = None if mask is None else torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
    return ids


@pytest.mark.parametrize("changes", [{}, {"mem_len": 30}, {"pre_lnorm": True}, {"mem_len": 0}, {"div_val": 1}],
                         ids=["short memory", "long memory", "norms first", "no memory", "one table"])
def test_generating_with_memories_is_generating_without_them(changes):
    module, ids = build(eos_token_id=None, **changes), random_ids(2, 6)
    expected = recomputed(module, ids, 10)
    assert torch.equal(module.generate(ids, max_new_tokens=10, do_sample=False), expected)
    assert torch.equal(module.generate(ids, max_new_tokens=10, do_sample=False, use_cache=False), expected)


@pytest.mark.parametrize("options", [{"num_beams": 3, "do_sample": False},
                                     {"do_sample": True, "top_p": 0.9, "num_return_sequences": 2},
                                 {"num_beams": 2, "do_sample": True}], ids=["beams", "sampling", "sampled beams"])
def test_beams_and_samples_carry_their_own_memories(options):
    module, ids = build(eos_token_id=None), random_ids(2, 6)
    texts = []
    for use_cache in (True, False):
        torch.manual_seed(5)
        texts.append(module.generate(ids, max_new_tokens=8, use_cache=use_cache, **options))
    assert torch.equal(*texts)


def test_prompts_of_different_lengths_are_continued_in_one_batch():
    module = build(eos_token_id=None)
    prompts = [random_ids(1, length, seed=length) for length in (3, 7)]
    padded = torch.cat([torch.cat([torch.full((1, 4), 2), prompts[0]], 1), prompts[1]])
    mask = torch.tensor([[0] * 4 + [1] * 3, [1] * 7])
    together = module.generate(padded, attention_mask=mask, max_new_tokens=6, do_sample=False)
    for row, prompt in enumerate(prompts):
        assert torch.equal(together[row, 7:], module.generate(prompt, max_new_tokens=6,
                                                              do_sample=False)[0, prompt.shape[1]:])


@pytest.mark.parametrize("options", [{}, {"use_cache": False}, {"num_beams": 2}])
def test_generation_continues_from_a_memory(options):
    module, ids = build(mem_len=30, eos_token_id=None), random_ids(2, 9)
    expected = module.generate(ids, max_new_tokens=6, do_sample=False, **options)[:, 9:]
    mems = module(ids[:, :5]).mems
    continuation = module.generate(ids[:, 5:], mems=mems, max_new_tokens=6, do_sample=False, **options)[:, 4:]
    assert torch.equal(continuation, expected)


def test_logits_to_keep_computes_only_the_last_logits():
    module, ids = build(), random_ids(2, 6)
    assert_close(module(ids, logits_to_keep=2).logits, module(ids).logits[:, -2:].detach())


def test_embeddings_may_be_passed_instead_of_ids():
    module, ids = build(), random_ids(2, 6)
    vectors = module.get_input_embeddings()(ids)
    assert_close(module(inputs_embeds=vectors).logits, module(ids).logits.detach())
    expected = module.generate(ids, max_new_tokens=3, do_sample=False)[:, 6:]
    assert torch.equal(module.generate(inputs_embeds=vectors, max_new_tokens=3, do_sample=False), expected)


def assert_same_model(model, expected, ids):
    """The same weights to the bit, still tied where they were tied, and the same outputs."""
    weights = expected.state_dict()
    assert all(torch.equal(weight, weights.pop(name)) for name, weight in model.state_dict().items()) and not weights
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in expected.named_parameters()]
    assert_close(model.eval()(ids)[0], expected.eval()(ids)[0].detach())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_model_is_the_same_when_loaded(variant, tmp_path):
    module, ids = build(**VARIANTS[variant]), random_ids(2, 6)
    module.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "transfo-xl" and config["architectures"] == ["TransfoXLLMHeadModel"]
    loaded, loading_info = TransfoXLLMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(loading_info.values())
    assert_same_model(loaded, module, ids)
    loaded.save_pretrained(tmp_path / "again")
    assert_same_model(TransfoXLLMHeadModel.from_pretrained(tmp_path / "again"), module, ids)


def test_a_state_dict_with_every_copy_loads_as_the_old_files_have_it(tmp_path):
    module, ids = build(untie_r=False), random_ids(2, 6)
    module.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(module.state_dict(), tmp_path / "pytorch_model.bin")
    loaded, loading_info = TransfoXLLMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(loading_info.values())
    assert_same_model(loaded, module, ids)


HEADS = {TransfoXLForSequenceClassification: {"score.weight"},
         TransfoXLForTokenClassification: {"classifier.weight", "classifier.bias"},
         TransfoXLForQuestionAnswering: {"qa_outputs.weight", "qa_outputs.bias"}}


@pytest.mark.parametrize("cls", HEADS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("untie_r", [True, False])
def test_a_head_takes_the_backbone_of_a_language_model(cls, untie_r, tmp_path):
    module = build(untie_r=untie_r)
    module.save_pretrained(tmp_path / "words")
    loaded, loading_info = cls.from_pretrained(tmp_path / "words",
                                               num_labels=3 if "Answering" not in cls.__name__ else 2,
                                       output_loading_info=True)
    assert loading_info["missing_keys"] == HEADS[cls]
    loaded.eval().save_pretrained(tmp_path / "head")
    reloaded, loading_info = cls.from_pretrained(tmp_path / "head", output_loading_info=True)
    assert not any(loading_info.values())
    assert_same_model(reloaded, loaded, random_ids(2, 5))


def test_a_text_is_classified_from_its_last_token():
    module = build(TransfoXLForSequenceClassification, num_labels=3)
    ids = random_ids(1, 4)
    alone = module(ids).logits
    for before, after in ((0, 3), (2, 1)):
        padded = torch.cat([torch.full((1, before), 9), ids, torch.full((1, after), 9)], 1)
        mask = torch.tensor([[0] * before + [1] * 4 + [0] * after])
        assert_close(module(padded, attention_mask=mask).logits, alone.detach())
    module.config.pad_token_id = 42
    assert_close(module(torch.cat([ids, torch.full((1, 3), 42)], 1)).logits, alone.detach())


def test_heads_give_the_usual_losses():
    ids, mask = random_ids(2, 5), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    classifier = build(TransfoXLForSequenceClassification, num_labels=3)
    output = classifier(ids, attention_mask=mask, labels=torch.tensor([2, 0]))
    assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, torch.tensor([2, 0])).detach())
    assert build(TransfoXLForSequenceClassification, num_labels=1)(ids, labels=torch.tensor([0.5, 1.0])).loss > 0
    tagger = build(TransfoXLForTokenClassification, num_labels=3)
    labels = torch.tensor([[0, 1, 2, -100, 1], [1, 1, 0, -100, -100]])
    output = tagger(ids, attention_mask=mask, labels=labels)
    assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), labels.flatten()).detach())
    span_model = build(TransfoXLForQuestionAnswering)
    output = span_model(ids, start_positions=torch.tensor([0, 1]), end_positions=torch.tensor([3, 2]))
    expected = sum(torch.nn.functional.cross_entropy(scores, torch.tensor(positions)) for scores, positions in
                   ((output.start_logits, [0, 1]), (output.end_logits, [3, 2]))) / 2
    assert_close(output.loss, expected.detach())


def test_the_auto_classes_load_it(tmp_path):
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    headstart.models.register.register()  # a second time
    module = build()
    module.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is TransfoXLConfig
    for auto, cls in ((AutoModel, TransfoXLModel), (AutoModelForCausalLM, TransfoXLLMHeadModel),
                      *zip((AutoModelForSequenceClassification, AutoModelForTokenClassification,
                            AutoModelForQuestionAnswering),
                           HEADS, strict=True)):
        assert type(auto.from_pretrained(tmp_path)) is cls


def test_the_package_stays_light():
    code = ("import sys, headstart.models.families.transfo_xl; "
            "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'sacremoses')))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


PUBLISHED = {"adaptive": True, "architectures": ["TransfoXLLMHeadModel"], "attn_type": 0, "clamp_len": 1000,
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
            ("r_w_bias", (16, 64)), ("r_r_bias", (16, 64)), ("qkv_net.weight", (3072, 1024)),
            ("o_net.weight", (1024, 1024)),
            ("r_net.weight", (1024, 1024)), ("layer_norm.weight", (1024,)), ("layer_norm.bias", (1024,)))}
        shapes |= {f"{prefix}pos_ff.{name}": shape for name, shape in (
            ("CoreNet.0.weight", (4096, 1024)), ("CoreNet.0.bias", (4096,)), ("CoreNet.3.weight", (1024, 4096)),
            ("CoreNet.3.bias", (1024,)), ("layer_norm.weight", (1024,)), ("layer_norm.bias", (1024,)))}
    return shapes | {"transformer.pos_emb.inv_freq": (512,), "crit.cluster_weight": (3, 1024),
                     "crit.cluster_bias": (3,)}


def test_names_and_shapes_are_the_published_ones():
    config = TransfoXLConfig.from_dict(PUBLISHED)
    assert TransfoXLConfig().to_diff_dict() == TransfoXLConfig(**{key: PUBLISHED[key]
                                                                  for key in ("cutoffs", "tie_projs")}).to_diff_dict()
    with torch.device("meta"):
        module = TransfoXLLMHeadModel(config)
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert shapes == published_shapes() and len(shapes) == 257
    assert sum(weight.numel() for weight in module.parameters()) == 285_205_322
    assert sum(weight.numel() for weight in module.transformer.layers[0].parameters()) == 13_642_752


def test_weights_are_initialised_as_the_config_says():
    torch.manual_seed(0)
    module = TransfoXLLMHeadModel(TransfoXLConfig(**BASE | {"d_model": 64, "d_inner": 256, "d_embed": 64}))
    assert module.transformer.layers[0].pos_ff.CoreNet[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert module.transformer.word_emb.emb_projs[0].std().item() == pytest.approx(0.01, rel=0.1)
    assert module.crit.out_projs[0].std().item() == pytest.approx(0.01, rel=0.1)
    assert module.transformer.layers[0].dec_attn.layer_norm.weight.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(module.crit.cluster_bias, torch.zeros(2))
    assert all(weight.isfinite().all() and weight.abs().max() < 2 for weight in module.parameters())


@pytest.mark.parametrize("changes, phrase", [
    ({"cutoffs": [20, 11]}, "cutoffs"), ({"cutoffs": [50]}, "cutoffs"), ({"div_val": 0}, "div_val"),
    ({"d_embed": 2}, "div_val"),
    ({"tie_projs": [True]}, "tie_projs"), ({"d_model": 15}, "even"), ({"mem_len": -1}, "mem_len"),
    ({"attn_type": 2}, "attn_type"), ({"sample_softmax": 9}, "sample_softmax"), ({"init": "zeros"}, "init")])
def test_a_config_that_makes_no_model_is_refused(changes, phrase):
    with pytest.raises(UserError, match=phrase):
        TransfoXLConfig(**BASE | changes)


def test_what_does_not_fit_is_refused_in_words():
    module, ids = build(), random_ids(2, 4)
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
    module, ids = build(), random_ids(2, 6)
    expected = module(ids).logits.exp()
    probabilities = module.to(torch.bfloat16)(ids).logits.exp()
    assert (probabilities - expected).abs().max() < 2e-2


@pytest.mark.slow
def test_the_published_size_runs_within_8_gigabytes():
    code = """
import resource, torch
from headstart.models.transfo_xl.config import TransfoXLConfig
from headstart.models.transfo_xl.heads import TransfoXLLMHeadModel
module = TransfoXLLMHeadModel(TransfoXLConfig()).eval()
ids = torch.arange(0, 267735, 2100)[None]
with torch.no_grad():
    output = module(ids)
    following = module(ids, mems=output.mems, labels=ids)
assert output.logits.shape == (1, 128, 267735) and len(output.mems) == 18 and output.mems[0].shape == (1600, 1, 1024)
assert abs(float(output.logits[0, -1].exp().sum()) - 1) < 1e-3 and following.losses.shape == (1, 127)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    finished = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(finished.stdout.split()[-1]) < 8 * 2**20  # kilobytes
