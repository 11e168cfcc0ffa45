"""A dozen of the drawn models through machine code; ``make parity`` takes all of them."""

from __future__ import annotations

import pytest

from compiler.compare import rule_faults, step_faults

pytest.importorskip("llvmlite", reason="machine code needs llvmlite: pip install 'gyaku[compile]'")


@pytest.mark.parametrize("seed", range(3, 200, 17))
def test_machine_code_agrees_with_eager(seed: int) -> None:
    assert step_faults(seed, "cpu") == []


@pytest.mark.parametrize("seed", range(5, 200, 50))
def test_update_rules_in_machine_code(seed: int) -> None:
    assert rule_faults(seed, "cpu") == []
