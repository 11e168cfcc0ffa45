"""Everything gives what PyTorch 2.13.0 gave when ``record.py`` was run; needs no PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from golden.record import HERE, load, outcomes

# PyTorch's warning about the mean of a divergence is ours too.
pytestmark = pytest.mark.filterwarnings("ignore:KLDivLoss")
RECORDED = load()
COMPUTED = list(outcomes(gy))
LOOSE = {"optimizers": 1e-10, "schedules": 1e-12}


def parts_of(name: str) -> dict[str, np.ndarray]:
    return {
        key[len(name) + 1 :]: v
        for key, v in RECORDED.items()
        if key.startswith(name + "/") and "/" not in key[len(name) + 1 :]
    }


@pytest.mark.parametrize(("name", "compute"), COMPUTED, ids=[name for name, _ in COMPUTED])
def test_value_recorded_from_pytorch(name: str, compute: Any) -> None:
    found = compute()
    expected = parts_of(name)
    assert sorted(found) == sorted(expected)
    tolerance = LOOSE.get(name.split("/")[0], 1e-11)
    for part, e in expected.items():
        f = found[part]
        assert (f.shape, f.dtype) == (e.shape, e.dtype), part
        np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance, err_msg=f"{name}/{part}")


def test_everything_recorded_is_computed() -> None:
    names = {name for name, _ in COMPUTED}
    assert {key.rsplit("/", 1)[0] for key in RECORDED} == names


def test_the_file_is_small() -> None:
    assert (HERE / "values.npz").stat().st_size < 300_000
