"""Quick parts of layers give the numbers and gradients of those whose place they take."""

import copy

import pytest
import tiny_writers
import torch
import transformers
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from headstart.models.loading.load import load
from headstart.models.packing.fused_layers import Gelu, RootMeanSquare, replace_parts


@pytest.mark.parametrize("kind", [T5LayerNorm, LlamaRMSNorm])
@pytest.mark.parametrize("shape", [(7, 16), (2, 5, 16), (1, 16)])
def test_a_norm_gives_the_same_numbers_and_gradients(kind, shape):
    torch.manual_seed(1)
    theirs = kind(16, eps=1e-6)
    torch.nn.init.normal_(theirs.weight)
    ours = copy.deepcopy(theirs)
    replace_parts(ours)
    given = torch.randn(shape) * 3
    given[..., 0, :] *= 1e-3
    upper, found = torch.randn(shape), []
    for norm in (theirs, ours):
        states = given.clone().requires_grad_()
        made = norm(states)
        made.backward(upper)
        found.append((made.detach(), states.grad, norm.weight.grad))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5 * float(one.abs().max()))
    with torch.no_grad():
        assert torch.equal(theirs(given), ours(given)), "without a gradient it is the layer's own"
    half = given.bfloat16()
    assert ours(half).dtype == theirs(half).dtype


def test_the_gradient_of_a_norm_is_that_of_differences():
    torch.manual_seed(0)
    states, weight = torch.randn(3, 6, dtype=torch.float64, requires_grad=True), torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one, two: RootMeanSquare.apply(one, two, 1e-6), (states, weight))


def test_gelu_gives_the_same_numbers():
    given = torch.linspace(-8, 8, 1001)
    assert torch.allclose(Gelu()(given), ACT2FN["gelu_new"](given), atol=1e-6)


def test_a_loaded_model_has_them_and_is_saved_as_it_came(tmp_path):
    folder = tiny_writers.folder("t5", tmp_path / "t5", feed_forward_proj="gated-gelu")
    held = load(str(folder), None, seed=0)
    assert sum(isinstance(part, Gelu) for part in held.module.modules()) == 5
    assert not any(type(part) is torch.nn.Dropout for part in held.module.modules())
    held.save(tmp_path / "again")
    plain = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "again")
    assert plain.state_dict().keys() == held.module.state_dict().keys()
