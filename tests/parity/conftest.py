"""PyTorch sets environment variables at its first step: let it do so before any test looks at them."""

from __future__ import annotations

import importlib.util

import pytest


@pytest.fixture(scope="session", autouse=True)
def _pytorch_has_started() -> None:
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
        p = torch.zeros(1, requires_grad=True)
        p.sum().backward()
        torch.optim.SGD([p], lr=0.1).step()
