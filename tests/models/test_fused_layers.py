"""Fused layers give the values and gradients of the layers they replace."""

import copy

import pytest
import tiny_writers
import torch
import transformers
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from headstart.models.loading.load import load
from headstart.models.packing.fused_layers import Gelu, RMSNormFunction, fuse_layers


@pytest.mark.parametrize("kind", [T5LayerNorm, LlamaRMSNorm])
@pytest.mark.parametrize("shape", [(7, 16), (2, 5, 16), (1, 16)])
def test_a_norm_gives_the_same_numbers_and_gradients(kind, shape):
    torch.manual_seed(1)
    reference = kind(16, eps=1e-6)
    torch.nn.init.normal_(reference.weight)
    fused = copy.deepcopy(reference)
    fuse_layers(fused)
    inputs = torch.randn(shape) * 3
    inputs[..., 0, :] *= 1e-3
    upper, results = torch.randn(shape), []
    for norm in (reference, fused):
        states = inputs.clone().requires_grad_()
        output = norm(states)
        output.backward(upper)
        results.append((output.detach(), states.grad, norm.weight.grad))
    for expected, actual in zip(*results, strict=True):
        assert torch.allclose(expected, actual, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    with torch.no_grad():
        assert torch.equal(reference(inputs), fused(inputs)), "without a gradient the original layer is used"
    half = inputs.bfloat16()
    assert fused(half).dtype == reference(half).dtype


def test_the_gradient_of_a_norm_is_that_of_differences():
    torch.manual_seed(0)
    states, weight = torch.randn(3, 6, dtype=torch.float64,
                                 requires_grad=True), torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda inputs, scale: RMSNormFunction.apply(inputs, scale, 1e-6), (states, weight))


def test_gelu_gives_the_same_numbers():
    inputs = torch.linspace(-8, 8, 1001)
    assert torch.allclose(Gelu()(inputs), ACT2FN["gelu_new"](inputs), atol=1e-6)


def test_a_loaded_model_has_them_and_is_saved_without_them(tmp_path):
    folder = tiny_writers.model_folder("t5", tmp_path / "t5", feed_forward_proj="gated-gelu")
    model = load(str(folder), None, seed=0)
    assert sum(isinstance(submodule, Gelu) for submodule in model.module.modules()) == 5
    assert not any(type(submodule) is torch.nn.Dropout for submodule in model.module.modules())
    model.save(tmp_path / "again")
    plain = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "again")
    assert plain.state_dict().keys() == model.module.state_dict().keys()
