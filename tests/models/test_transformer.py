import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.models import Transformer

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

SIZES: dict[str, Any] = {"n_layer": 3, "n_head": 2, "n_embd": 8}


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest) -> Transformer:
    torch.manual_seed(1)
    model = Transformer("abcdef", 11, **SIZES, tied=request.param)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model.eval()


@pytest.fixture
def gpt2(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> "GPT2LMHeadModel":
    """The reference implementation with the model's weights; its linear layers store their matrices transposed."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import GPT2Config, GPT2LMHeadModel

    options = SIZES | {"attn_implementation": "eager"}
    config = GPT2Config(
        vocab_size=7,
        n_positions=11,
        **options,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=model.head.weight is model.token_embedding.weight,
    )
    names = {
        "norm1": "ln_1",
        "attention.qkv": "attn.c_attn",
        "attention.proj": "attn.c_proj",
        "norm2": "ln_2",
        "expand": "mlp.c_fc",
        "proj": "mlp.c_proj",
    }
    ours = model.state_dict()
    weights: dict[str, Tensor] = {
        "transformer.wte.weight": ours["token_embedding.weight"],
        "transformer.wpe.weight": ours["position_embedding.weight"],
        "transformer.ln_f.weight": ours["norm.weight"],
        "transformer.ln_f.bias": ours["norm.bias"],
        "lm_head.weight": ours["head.weight"],
    }
    for i in range(SIZES["n_layer"]):
        for name, theirs in names.items():
            weight = ours[f"blocks.{i}.{name}.weight"]
            weights[f"transformer.h.{i}.{theirs}.weight"] = weight if weight.ndim == 1 else weight.T
            weights[f"transformer.h.{i}.{theirs}.bias"] = ours[f"blocks.{i}.{name}.bias"]
    reference = GPT2LMHeadModel(config)
    reference.load_state_dict(weights)
    return reference.eval()


@torch.no_grad()
def test_logits_equal_gpt2s(model: Transformer, gpt2: "GPT2LMHeadModel") -> None:
    context = torch.randint(0, 7, (4, 11))
    torch.testing.assert_close(model(context), gpt2(context).logits, atol=1e-4, rtol=0)


@torch.no_grad()
def test_attention_weights_equal_gpt2s_and_are_causal_and_sum_to_1(model: Transformer, gpt2: "GPT2LMHeadModel") -> None:
    context = torch.randint(0, 7, (4, 11))
    found = model.attention(context)
    assert found.shape == (4, SIZES["n_layer"], SIZES["n_head"], 11, 11)
    expected = gpt2(context, output_attentions=True).attentions
    torch.testing.assert_close(found, torch.stack(expected, 1), atol=1e-5, rtol=0)
    assert not found.triu(1).any()
    torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:-1]))


@torch.no_grad()
def test_initial_weights_are_distributed_as_gpt2s() -> None:
    torch.manual_seed(1)
    n_layer = 8
    model = Transformer("".join(map(chr, range(256, 512))), 128, n_layer=n_layer, n_head=4, n_embd=128)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name
        else:
            # Each block adds two projections to the residual stream; the scale keeps its variance that of one.
            residual = name.endswith((".attention.proj.weight", ".proj.weight"))
            std = 0.02 / math.sqrt(2 * n_layer) if residual else 0.02
            # At least 16,384 numbers, whose standard deviation is known to half a percent.
            assert float(parameter.std()) == pytest.approx(std, rel=0.03), name
            assert float(parameter.mean()) == pytest.approx(0, abs=0.03 * std), name


def test_a_tied_head_is_the_token_embedding_and_an_untied_head_is_not() -> None:
    tied, untied = (Transformer("abc", 4, tied=tied) for tied in (True, False))
    assert tied.head.weight is tied.token_embedding.weight
    assert not torch.equal(untied.head.weight, untied.token_embedding.weight)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (tied, untied)]
    assert sizes[1] - sizes[0] == 4 * 64


def test_n_embd_that_is_not_a_multiple_of_n_head_raises() -> None:
    with pytest.raises(UserError, match=r"n_embd must be a multiple of n_head, got 10 and 4"):
        Transformer("abc", 4, n_embd=10, n_head=4)
