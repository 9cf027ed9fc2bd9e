import copy
import math

import pytest
import torch
from torch import Tensor, nn

from sequentia.models import Transformer
from sequentia.optim import Muon, orthogonalize


def test_orthogonalized_matrices_are_near_their_polar_factors() -> None:
    torch.manual_seed(0)
    for shape in ((5, 16, 16), (3, 8, 32)):
        x = torch.randn(shape)
        u, _, vh = torch.linalg.svd(x, full_matrices=False)
        y = orthogonalize(x)
        values = torch.linalg.svdvals(y)
        assert values.min() > 0.3  # the smallest singular value of a random square matrix is near 0
        assert values.max() < 1.3
        # Y = U D V^T: the same singular vectors, so U^T Y V is diagonal.
        d = u.mT @ y @ vh.mT
        off = d - torch.diag_embed(d.diagonal(dim1=1, dim2=2))
        torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-4, rtol=0)


def set_gradients(params: list[nn.Parameter], seed: int) -> None:
    """Set normal random gradients."""
    generator = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator)


def test_square_matrices_are_updated_as_by_pytorchs_muon() -> None:
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(24, 24))
    theirs = nn.Parameter(ours.detach().clone())
    a = Muon([{"params": [ours], "hidden": True}], lr=0.1, momentum=0.9, weight_decay=0.1)
    b = torch.optim.Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.1, adjust_lr_fn="original")
    for step in range(5):
        before = ours.detach().clone()
        set_gradients([ours], step)
        set_gradients([theirs], step)
        a.step()
        b.step()
        moved, expected = (ours - before).flatten(), (theirs - before).flatten()
        # PyTorch iterates in bfloat16.
        assert torch.nn.functional.cosine_similarity(moved, expected, dim=0) > 0.999
        with torch.no_grad():
            theirs.copy_(ours)


def test_other_parameters_are_updated_as_by_adamw() -> None:
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(7))]
    theirs = copy.deepcopy(ours)

    def groups(params: list[nn.Parameter]) -> list[dict[str, list[Tensor] | float | bool]]:
        return [{"params": [params[0]]}, {"params": [params[1]], "weight_decay": 0.0}]

    a = Muon(groups(ours), lr=1.0, adamw_lr=0.02, betas=(0.8, 0.9), weight_decay=0.3)
    b = torch.optim.AdamW(groups(theirs), lr=0.02, betas=(0.8, 0.9), weight_decay=0.3, fused=True)
    for step in range(3):
        set_gradients(ours, step)
        set_gradients(theirs, step)
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("stacked", [2, 3, 4])
@pytest.mark.parametrize("shape", [(8, 8), (8, 5), (5, 8)])
def test_a_stacked_matrix_is_updated_exactly_as_its_parts(stacked: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    whole = nn.Parameter(torch.randn(stacked * shape[0], shape[1]))
    parts = [nn.Parameter(part.clone()) for part in whole.detach().chunk(stacked)]
    a = Muon([{"params": [whole], "hidden": True, "stacked": [stacked]}], lr=0.1, weight_decay=0.2)
    b = Muon([{"params": parts, "hidden": True, "stacked": [1] * stacked}], lr=0.1, weight_decay=0.2)
    for step in range(3):
        set_gradients([whole], step)
        assert whole.grad is not None
        for part, gradient in zip(parts, whole.grad.chunk(stacked), strict=True):
            part.grad = gradient.clone()
        a.step()
        b.step()
    assert torch.equal(whole, torch.cat(tuple(parts)))


def test_a_matrix_of_3n_rows_and_n_columns_is_not_split_unless_declared_as_stacked() -> None:
    matrix = nn.Parameter(torch.zeros(24, 8))
    set_gradients([matrix], 0)
    assert matrix.grad is not None
    Muon([{"params": [matrix], "hidden": True}], lr=1.0).step()
    # All singular values of the update are near that of an orthogonalized matrix, times sqrt(24 / 8).
    direction = orthogonalize(matrix.grad.mT[None])[0].mT
    torch.testing.assert_close(matrix.detach(), -math.sqrt(3) * direction)


def test_each_matrix_uses_its_own_stacked_count() -> None:
    """Matrices of one group with different counts are updated as in groups of their own."""
    torch.manual_seed(0)
    shapes, counts = [(24, 8), (24, 8), (8, 8), (32, 8)], [3, 1, 1, 4]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = copy.deepcopy(together)
    set_gradients(together, 0)
    set_gradients(alone, 0)
    Muon([{"params": together, "hidden": True, "stacked": counts}]).step()
    for p, count in zip(alone, counts, strict=True):
        Muon([{"params": [p], "hidden": True, "stacked": [count]}]).step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q)


def test_updates_after_loading_a_saved_state_are_bit_identical() -> None:
    def make() -> tuple[Transformer, Muon]:
        torch.manual_seed(0)
        model = Transformer("abc", 5, n_layer=1, n_embd=8)
        return model, Muon(model.parameter_groups())

    model, optimizer = make()
    for step in range(6):
        if step == 3:
            weights, state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        set_gradients(list(model.parameters()), step)
        optimizer.step()
    other, resumed = make()
    other.load_state_dict(weights)
    resumed.load_state_dict(state)
    for step in range(3, 6):
        set_gradients(list(other.parameters()), step)
        resumed.step()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize(
    ("name", "value"), [("lr", -1.0), ("adamw_lr", math.nan), ("momentum", math.nan), ("weight_decay", -1.0)]
)
def test_an_option_out_of_range_raises_an_error_that_names_it(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0"):
        Muon([{"params": [nn.Parameter(torch.zeros(2, 2))], "hidden": True}], **{name: value})  # type: ignore[arg-type]
