from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from molgen.nn.denoiser import MoleculeDenoiser
from molgen.training.optim import Optimizers, WeightAverage, learning_rate
from molgen.training.trainer import new_model
from molgen.utils.threads import Workers
from small_data import dataset, shape


def test_the_rate_has_warmup_plateau_and_decay() -> None:
    rates = [learning_rate(step, 1000, 2.0, 10, 0.5) for step in range(1001)]
    assert rates[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    assert set(rates[10:501]) == {2.0}
    assert rates[750] == pytest.approx(1.0)
    assert rates[1000] == 0.0


def test_a_short_run_reaches_its_rate() -> None:
    rates = [learning_rate(step, 40, 2.0, 200, 0.5) for step in range(40)]
    assert max(rates) == 2.0
    assert rates[0] == 0.5


def test_a_longer_run_starts_the_same() -> None:
    short, long = ([learning_rate(s, n, 1.0, 9, 0.5) for s in range(50)] for n in (100, 1000))
    assert short == long


@pytest.fixture
def model() -> MoleculeDenoiser:
    return new_model(shape(dataset()), 0)


def test_muon_trains_the_block_matrices_and_adam_the_rest(model: MoleculeDenoiser) -> None:
    optimizers = Optimizers(model, 0.01, groups=3)
    *muon, adam = optimizers.parts
    names = {optimizers.names[id(p)] for part in muon for p in part.param_groups[0]["params"]}
    layers = ("attention.qkv", "attention.out", "up", "down")
    assert names == {f"blocks.{i}.{layer}.weight" for i in (0, 1) for layer in layers}
    rest = {optimizers.names[id(p)] for p in adam.param_groups[0]["params"]}
    assert names | rest == {name for name, _ in model.named_parameters()}
    assert not names & rest
    assert len(Optimizers(model, 0.01, use_muon=False).parts) == 1


def gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


def walk(groups: int, restart: bool) -> list[Tensor]:
    """Six steps, at will with optimisers saved and made anew after the third."""
    model = new_model(shape(dataset()), 0)
    optimizers = Optimizers(model, 0.01, groups)
    pool = Workers("cpu", 1)
    for step in range(6):
        if restart and step == 3:
            state = {name: value.clone() for name, value in optimizers.state().items()}
            optimizers = Optimizers(model, 0.01, 3 - groups)
            optimizers.load_state(state)
        gradients(model, step)
        optimizers.step(0.01, pool)
    pool.close()
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize(("groups", "restart"), [(2, False), (1, True), (2, True)])
def test_neither_grouping_nor_a_restart_changes_a_bit(groups: int, restart: bool) -> None:
    for a, b in zip(walk(1, False), walk(groups, restart), strict=True):
        assert torch.equal(a, b)


def test_a_state_of_other_optimisers_is_rejected(model: MoleculeDenoiser) -> None:
    pool = Workers("cpu", 1)
    gradients(model, 0)
    adam = Optimizers(model, 0.0, use_muon=False)
    adam.step(0.01, pool)
    pool.close()
    with pytest.raises(ValueError, match="expected \\['momentum_buffer'\\]"):
        Optimizers(model, 0.0).load_state(adam.state())


def test_the_decay_of_the_average_is_smaller_at_first() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(0.0)
        average = WeightAverage(layer, 0.9)
        layer.weight.fill_(1.0)
    average.update(layer, 1)  # decay (1 + 1) / (1 + 10)
    assert average.weights["weight"].item() == pytest.approx(1 - 2 / 11)
    average.update(layer, 10_000)  # decay 0.9
    assert average.weights["weight"].item() == pytest.approx(1 - 0.9 * 2 / 11)


def test_the_average_is_applied_and_restored() -> None:
    layer = nn.Linear(1, 1, bias=False)
    average = WeightAverage(layer, 0.9)
    own, mean = layer.weight.item(), 5.0
    average.weights["weight"].fill_(mean)

    def fail_inside() -> None:
        with average.applied(layer):
            assert layer.weight.item() == mean
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert layer.weight.item() == own
    assert average.weights["weight"].item() == mean
