"""The doctor on networks for pictures: a dead convolution is found, with its layer."""

from __future__ import annotations

import numpy as np

import gyaku as gy
import gyaku.nn as nn


def test_a_dead_convolution_is_found() -> None:
    gy.manual_seed(0)
    convs = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with gy.no_grad():
        convs[2].bias.fill_(-50.0)
    x = np.random.default_rng(0).normal(size=(100, 1, 6, 6)).astype(np.float32)
    verdict = gy.doctor(model, (x, (x.mean((1, 2, 3)) > 0).astype(int)), steps=40, proof=False)
    found = {finding.key for finding in verdict.findings}
    assert "dead_relu" in found and "bad_init" in found
    assert all(f.where == "2" for f in verdict.findings if f.key in ("dead_relu", "bad_init"))
