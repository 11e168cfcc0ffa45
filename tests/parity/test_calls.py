"""Every call, loss, layer, optimizer and schedule of the golden tables, live against PyTorch, in both precisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from golden.calls import GROUPS, Call, outcome
from golden.record import in_double
from golden.training import (
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    Layer,
    fill,
    layer_outcome,
    optimizer_outcome,
    schedule_outcome,
)

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make parity` installs it")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

CALLS = [
    pytest.param(call, id=f"{group}/{name}")
    for group, calls in [*GROUPS.items(), ("losses", LOSSES)]
    for name, call in calls.items()
]
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def same(ours: dict[str, Any], theirs: dict[str, Any], tolerance: float) -> None:
    assert sorted(ours) == sorted(theirs)
    for part, expected in theirs.items():
        found = ours[part]
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), part
        scale = max(
            1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)) if expected.dtype.kind == "f" else 1
        )
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale, err_msg=part)


@DTYPES
@pytest.mark.parametrize("call", CALLS)
def test_call(call: Call, dtype: Any) -> None:
    """Values, gradients, shapes and types of numbers."""
    same(outcome(gy, call, dtype), outcome(torch, call, dtype), 1e-11 if dtype is np.float64 else 2e-5)


@DTYPES
@pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))
def test_layer(layer: Layer, dtype: Any) -> None:
    same(layer_outcome(gy, layer, dtype), layer_outcome(torch, layer, dtype), 1e-11 if dtype is np.float64 else 2e-5)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))
def test_state_dict_goes_both_ways(layer: Layer) -> None:
    """Names, shapes and types agree, so arrays carry weights over in either direction."""
    ours, theirs = fill(gy, layer[0](gy.nn), np.float32), fill(torch, layer[0](torch.nn), np.float32)
    state = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    moved = {k: v + 1 if v.dtype.kind == "f" else v for k, v in state.items()}
    ours.load_state_dict({k: gy.tensor(v) for k, v in moved.items()})
    theirs.load_state_dict({k: torch.tensor(v.detach().numpy()) for k, v in ours.state_dict().items()})
    for k, v in theirs.state_dict().items():
        np.testing.assert_array_equal(v.detach().numpy(), moved[k])


@DTYPES
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str, dtype: Any) -> None:
    cls, options = OPTIMIZERS[name]
    if dtype is np.float64:
        run = [in_double(T, optimizer_outcome, cls, options) for T in (gy, torch)]
    else:
        run = [optimizer_outcome(T, cls, options, np.float32) for T in (gy, torch)]
    same(*run, 1e-10 if dtype is np.float64 else 1e-5 if name != "RMSprop centered" else 1e-4)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    same(schedule_outcome(gy, SCHEDULES[name]), schedule_outcome(torch, SCHEDULES[name]), 1e-12)


def test_the_peer_is_the_one_promised() -> None:
    assert torch.__version__.split("+")[0] == "2.13.0"
