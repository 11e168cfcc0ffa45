"""What every test may use, and what every test must leave as it found it."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from gyaku.backend.dtypes import get_default_dtype
from gyaku.core.mode import is_grad_enabled

# The same examples every time: a red test is red for everybody. HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile(
    "gyaku",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=60,
)
settings.register_profile("explore", settings.get_profile("gyaku"), derandomize=False, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gyaku"))


# Machine code that tests compile is kept apart from the user's, for the next run of the tests.
os.environ["GYAKU_CACHE"] = str(Path(tempfile.gettempdir()) / f"gyaku-tests-{getpass.getuser()}")


def global_state() -> dict[str, object]:
    """Everything outside a test that a test could leave changed."""
    hidden = ("PYTEST_CURRENT_TEST", "PYTEST_VERSION")
    hidden += ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")  # scikit-learn sets them when it is imported
    return {
        "grad mode": is_grad_enabled(),
        "default dtype": get_default_dtype(),
        "np.errstate": np.geterr(),
        "np.printoptions": np.get_printoptions(),
        "environment": {key: value for key, value in os.environ.items() if key not in hidden},
        "working folder": os.getcwd(),
    }


@pytest.fixture(autouse=True)
def _leaves_global_state_as_found() -> Iterator[None]:
    before = global_state()
    yield
    after = global_state()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"the test left global state changed: {changed}"


@pytest.fixture
def data_folder() -> Path:
    """Folder with the MNIST files, named by GYAKU_DATA."""
    named = os.environ.get("GYAKU_DATA")
    if not named:
        pytest.skip("GYAKU_DATA names no folder with the MNIST files")
    folder = Path(named)
    assert folder.is_dir(), f"GYAKU_DATA={named} is no folder"
    return folder


@pytest.fixture(params=["numpy", pytest.param("cupy", marks=pytest.mark.gpu)])
def xp(request: pytest.FixtureRequest) -> ModuleType:
    """Array namespace: NumPy, and CuPy under `make gpu`."""
    if request.param == "numpy":
        return np
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: pip install 'gyaku[cuda]'", exc_type=ImportError)
    if not cupy.is_available():
        pytest.skip("CuPy finds no CUDA device")
    return cupy
