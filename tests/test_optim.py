import copy
import math

import pytest
import torch
from torch import Tensor, nn

from sequentia.models import Transformer
from sequentia.optim import Muon, orthogonalise


def test_orthogonalised_matrices_are_near_their_polar_factor() -> None:
    torch.manual_seed(0)
    for shape in ((5, 16, 16), (3, 8, 32)):
        x = torch.randn(shape)
        u, _, vh = torch.linalg.svd(x, full_matrices=False)
        y = orthogonalise(x)
        values = torch.linalg.svdvals(y)
        assert values.min() > 0.3  # the smallest of a random square matrix starts near 0
        assert values.max() < 1.3
        # Y = U D V^T: the same singular vectors, so U^T Y V is diagonal.
        d = u.mT @ y @ vh.mT
        off = d - torch.diag_embed(d.diagonal(dim1=1, dim2=2))
        torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-4, rtol=0)


def test_matrices_are_orthogonalised_each_for_itself() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 6, 10)
    torch.testing.assert_close(orthogonalise(x), torch.cat([orthogonalise(m[None]) for m in x]))


def gradients(params: list[nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator)


def test_square_matrices_move_as_with_pytorchs_muon() -> None:
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(24, 24))
    theirs = nn.Parameter(ours.detach().clone())
    a = Muon([{"params": [ours], "hidden": True}], lr=0.1, momentum=0.9, weight_decay=0.1)
    b = torch.optim.Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.1, adjust_lr_fn="original")
    for step in range(5):
        before = ours.detach().clone()
        gradients([ours], step)
        gradients([theirs], step)
        a.step()
        b.step()
        moved, expected = (ours - before).flatten(), (theirs - before).flatten()
        # PyTorch iterates in bfloat16.
        assert torch.nn.functional.cosine_similarity(moved, expected, dim=0) > 0.999
        with torch.no_grad():
            theirs.copy_(ours)


def test_all_but_hidden_matrices_move_as_with_adamw() -> None:
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(7))]
    theirs = copy.deepcopy(ours)

    def groups(params: list[nn.Parameter]) -> list[dict[str, list[Tensor] | float | bool]]:
        return [{"params": [params[0]]}, {"params": [params[1]], "weight_decay": 0.0}]

    a = Muon(groups(ours), lr=1.0, adamw_lr=0.02, betas=(0.8, 0.9), weight_decay=0.3)
    b = torch.optim.AdamW(groups(theirs), lr=0.02, betas=(0.8, 0.9), weight_decay=0.3, fused=True)
    for step in range(3):
        gradients(ours, step)
        gradients(theirs, step)
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        assert torch.equal(p, q)


def test_query_key_and_value_are_orthogonalised_apart() -> None:
    torch.manual_seed(0)
    stacked = nn.Parameter(torch.zeros(24, 8))
    apart = [nn.Parameter(torch.zeros(8, 8)) for _ in range(3)]
    a = Muon([{"params": [stacked], "hidden": True}], lr=1.0)
    b = Muon([{"params": apart, "hidden": True}], lr=1.0)
    gradients([stacked], 0)
    assert stacked.grad is not None
    for p, grad in zip(apart, stacked.grad.split(8), strict=True):
        p.grad = grad.clone()
    a.step()
    b.step()
    torch.testing.assert_close(stacked.detach(), torch.cat([p.detach() for p in apart]))


def test_a_saved_state_goes_on_exactly() -> None:
    def make() -> tuple[Transformer, Muon]:
        torch.manual_seed(0)
        model = Transformer("abc", 5, n_layer=1, n_embd=8)
        return model, Muon(model.parameter_groups())

    model, optimizer = make()
    for step in range(6):
        if step == 3:
            weights, state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        gradients(list(model.parameters()), step)
        optimizer.step()
    other, resumed = make()
    other.load_state_dict(weights)
    resumed.load_state_dict(state)
    for step in range(3, 6):
        gradients(list(other.parameters()), step)
        resumed.step()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


def test_groups_tell_hidden_matrices_from_embeddings_head_and_vectors() -> None:
    model = Transformer("abc", 5, n_layer=2, n_embd=8, tied=False)
    hidden, outer, vectors = model.parameter_groups()
    assert hidden["hidden"]
    assert len(hidden["params"]) == 2 * 4
    assert {tuple(p.shape) for p in outer["params"]} == {(4, 8), (5, 8)}
    assert len(outer["params"]) == 3
    assert all(p.ndim == 1 for p in vectors["params"])
    assert vectors["weight_decay"] == 0
    assert sum(len(g["params"]) for g in (hidden, outer, vectors)) == len(list(model.parameters()))


@pytest.mark.parametrize("name", ["lr", "adamw_lr", "momentum", "weight_decay"])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_an_option_out_of_its_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0"):
        Muon([{"params": [nn.Parameter(torch.zeros(2, 2))], "hidden": True}], **{name: value})  # type: ignore[arg-type]
