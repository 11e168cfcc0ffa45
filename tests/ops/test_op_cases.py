"""Every operation, driven by its row of ``op_cases.py``: values, derivatives, dtypes, memory, shapes and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gradient_check import WrongDerivative, check_gradient, check_kink, check_second, leaf, outputs_of
from gyaku.backend.namespace import NAMESPACES
from gyaku.base.errors import GyakuError
from gyaku.core.backward import gradients_of
from gyaku.core.mode import observe
from gyaku.core.op import REGISTRY
from gyaku.core.tensor import Tensor, new_tensor
from op_cases import CASES, Case, Kink, Refusal, Sample
from ops.spy import Collector, SpyNamespace, opened, spied

# PyTorch's warning about the mean of a divergence is ours too; here every reduction is driven.
pytestmark = pytest.mark.filterwarnings("ignore:KLDivLoss")
DRIVEN = [pytest.param(case, sample, id=f"{case.op}-{i}") for case in CASES for i, sample in enumerate(case.samples)]
SMOOTH = [p for p in DRIVEN if p.values[0].smooth]
FIRST = [p for p in DRIVEN if p is next(q for q in DRIVEN if q.values[0] is p.values[0])]
FIRST_SMOOTH = [p for p in FIRST if p.values[0].smooth]
every_sample = pytest.mark.parametrize(("case", "sample"), DRIVEN)
every_formula = pytest.mark.parametrize(("case", "sample"), [p for p in DRIVEN if not p.values[0].beyond])
every_smooth = pytest.mark.parametrize(("case", "sample"), SMOOTH)
one_sample = pytest.mark.parametrize(("case", "sample"), FIRST)
one_smooth = pytest.mark.parametrize(("case", "sample"), FIRST_SMOOTH)


def function_of(case: Case, sample: Sample) -> Callable[..., Any]:
    return lambda *x: case.call(*x, **sample.static)


def several(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def plain(result: Any) -> list[np.ndarray]:
    return [t._array for t in several(result) if isinstance(t, Tensor)]


def run_backward(outs: list[Tensor], leaves: list[Tensor], gradients: list[Any]) -> list[Any]:
    return gradients_of(outs, [t for t in leaves if t._node is not None], gradients, False, False)


# -- values ----------------------------------------------------------------------------------------------------------
@every_sample
def test_value_is_numpys(case: Case, sample: Sample) -> None:
    for dtype in (np.float64, np.float32):
        compare_with_numpy(case, sample, dtype)


def compare_with_numpy(case: Case, sample: Sample, dtype: Any) -> None:
    arrays = sample.arrays(dtype)
    found = plain(case.call(*map(Tensor, arrays), **sample.static))
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    expected = [np.asarray(e) for e in several(case.reference(*wide, **sample.static))]
    tolerance = {np.float64: 1e-12, np.float32: 2e-5}[dtype] * case.loose
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        assert (f.dtype.kind == "f") == (e.dtype.kind == "f"), (f.dtype, e.dtype)
        np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance)


# -- derivatives -----------------------------------------------------------------------------------------------------
@every_smooth
def test_first_derivative(case: Case, sample: Sample) -> None:
    check_gradient(function_of(case, sample), sample.arrays(np.float64))


@every_smooth
def test_second_derivative(case: Case, sample: Sample) -> None:
    check_second(function_of(case, sample), sample.arrays(np.float64))


FLAT = "sign floor ceil trunc round floor_divide heaviside".split()  # derivative 0: a factor changes nothing


@pytest.mark.parametrize("case", [c for c in CASES if c.smooth], ids=[c.op for c in CASES if c.smooth])
def test_the_row_would_notice_a_slightly_wrong_rule(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its derivatives too large by 0.05 % (or off by 0.0005 where they are 0) no row passes."""
    cls = REGISTRY[case.op]
    right = cls.backward

    def wrong(self: Any, xp: Any, saved: Any, gy_: Any, needs: Any) -> Any:
        gxs = several(right(self, xp, saved, gy_, needs))
        return tuple([None if g is None else g + 5e-4 if case.op in FLAT else g * 1.0005 for g in gxs])

    monkeypatch.setattr(cls, "backward", wrong)
    sample = case.samples[0]
    with pytest.raises(WrongDerivative):
        check_gradient(function_of(case, sample), sample.arrays(np.float64))


KINKS = [pytest.param(c, k, id=f"{c.op}-{i}") for c in CASES for i, k in enumerate(c.kinks)]


@pytest.mark.parametrize(("case", "kink"), KINKS)
def test_derivative_at_a_kink_is_the_declared_one(case: Case, kink: Kink) -> None:
    check_kink(lambda *x: case.call(*x, **kink.static), [np.asarray(x) for x in kink.x], kink.expected)


# -- dtypes ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("case", "sample"), [p for p in DRIVEN if p.values[1].floating])
def test_float32_stays_float32(case: Case, sample: Sample) -> None:
    """Also where a hyper-parameter is NumPy's float64, which would widen everything it meets."""
    wide = {k: np.float64(v) if type(v) is float else v for k, v in sample.static.items()}
    for static in [sample.static, wide] if any(type(v) is np.float64 for v in wide.values()) else [sample.static]:
        stays_float32(case, sample, static)


def stays_float32(case: Case, sample: Sample, static: dict[str, Any]) -> None:
    leaves = [leaf(a) for a in sample.arrays(np.float32)]
    outs = [t for t in several(case.call(*leaves, **static)) if isinstance(t, Tensor)]
    for t in outs:
        assert t._array.dtype in (np.float32, np.int64, np.int32, np.bool_) or case.op == "cast"
    recorded = [t for t in outputs_of(outs) if t._node is not None]
    if recorded:
        for g in run_backward(recorded, leaves, [np.ones_like(t._array) for t in recorded]):
            assert g is None or g.dtype == np.float32


COMPARISONS = "eq ne lt le gt ge".split()
PAIRS = [p for p in FIRST if p.values[0].promotes and p.values[1].floating]


@pytest.mark.parametrize(("case", "sample"), PAIRS)
def test_mixed_floats_widen_and_each_gradient_keeps_its_type(case: Case, sample: Sample) -> None:
    a, *rest = sample.arrays(np.float64)
    leaves = [leaf(a.astype(np.float32)), *[leaf(r) for r in rest]]
    outs = outputs_of(case.call(*leaves, **sample.static))
    if case.op not in COMPARISONS:
        assert outs and all(t._array.dtype == np.float64 for t in outs)
    if case.smooth:
        for g, t in zip(run_backward(outs, leaves, [np.ones_like(t._array) for t in outs]), leaves, strict=True):
            assert g.dtype == t._array.dtype


WHOLE = [p for p in FIRST if p.values[0].floats]


@pytest.mark.parametrize(("case", "sample"), WHOLE)
def test_whole_numbers_become_the_default_float(case: Case, sample: Sample) -> None:
    for dtype in (np.int64, np.int32, np.uint8, np.bool_):
        arrays = [np.ones_like(a, dtype=dtype) for a in sample.arrays(np.float64)]
        for t in several(case.call(*map(Tensor, arrays), **sample.static)):
            assert t.dtype is gy.float32


# -- memory ----------------------------------------------------------------------------------------------------------
@every_sample
def test_nothing_given_is_written_to(case: Case, sample: Sample) -> None:
    """Inputs and incoming gradients are read-only memory here, so that a write would fail, and are compared after."""
    arrays = sample.arrays(np.float64)
    leaves = [leaf(a) for a in arrays]
    for t in leaves:
        t._array.flags.writeable = False
    outs = [t for t in outputs_of(case.call(*leaves, **sample.static)) if t._node is not None]
    gys = [np.random.default_rng(5).normal(size=t.shape) for t in outs]
    copies = [g.copy() for g in gys]
    for g in gys:
        g.flags.writeable = False
    if outs:
        run_backward(outs, leaves, gys)
    for t, a in zip(leaves, arrays, strict=True):
        np.testing.assert_array_equal(t._array, a)
    for g, c in zip(gys, copies, strict=True):
        np.testing.assert_array_equal(g, c)


@every_sample
def test_outputs_and_gradients_own_their_memory(case: Case, sample: Sample) -> None:
    leaves = [leaf(a) for a in sample.arrays(np.float64)]
    outs = [t for t in several(case.call(*leaves, **sample.static)) if isinstance(t, Tensor)]
    if not case.view:
        for t in outs:
            assert not any(np.shares_memory(t._array, x._array) for x in leaves), (
                "the output shares memory with an input"
            )
    recorded = [t for t in outputs_of(outs) if t._node is not None]
    if not recorded:
        return
    gys = [np.ones(t.shape) for t in recorded]
    for t, g in zip(recorded, gys, strict=True):
        t.backward(new_tensor(g), retain_graph=True)
    held = [t for t in leaves if t._grad is not None]
    for i, t in enumerate(held):
        others = [*gys, *[x._array for x in leaves], *[x._array for x in outs], *[x._grad._array for x in held[:i]]]
        assert not any(np.shares_memory(t._grad._array, o) for o in others), "a gradient shares memory"
        assert t._grad._array.flags.writeable


@every_sample
def test_memory_layout_does_not_matter(case: Case, sample: Sample) -> None:
    arrays = sample.arrays(np.float64)
    results = []
    for layout in ("contiguous", "transposed", "strided", "reversed"):
        leaves = [leaf_around(laid_out(a, layout)) for a in arrays]
        outs = several(case.call(*leaves, **sample.static))
        recorded = [t for t in outputs_of(outs) if t._node is not None]
        gys = [laid_out(np.random.default_rng(5).normal(size=t.shape), layout) for t in recorded]
        results.append((plain(outs), run_backward(recorded, leaves, gys) if recorded else []))
    for other in results[1:]:
        for one, two in zip(results[0][0] + results[0][1], other[0] + other[1], strict=True):
            if one is not None:
                np.testing.assert_allclose(two, one, rtol=1e-12, atol=1e-12)


def leaf_around(a: np.ndarray) -> Tensor:
    """Return a leaf around this very memory."""
    t = new_tensor(a)
    return t.requires_grad_() if a.dtype.kind == "f" else t


def laid_out(a: np.ndarray, layout: str) -> np.ndarray:
    """Return the same numbers in other memory."""
    if layout == "contiguous":
        return a.copy()
    if layout == "transposed":
        return np.ascontiguousarray(a.T).T if a.ndim else a.copy()
    if layout == "reversed":
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1] if a.ndim else a.copy()
    wide = np.zeros((*a.shape, 2), a.dtype)
    wide[..., 1] = a
    return wide[..., 1]


# -- the rule as a formula ---------------------------------------------------------------------------------------------
@pytest.fixture
def spy() -> Iterator[SpyNamespace]:
    yield SpyNamespace()


def collected(case: Case, sample: Sample, *, backward: bool = True) -> Collector:
    leaves = [leaf(a) for a in sample.arrays(np.float64)]
    with observe(Collector(case.op)) as (seen,):
        outs = [t for t in outputs_of(case.call(*leaves, **sample.static)) if t._node is not None]
        if outs and backward:
            gys = [np.random.default_rng(5).normal(size=t.shape) for t in outs]
            gradients_of(outs, [t for t in leaves if t._node is not None], gys, True, False)
    return seen


@every_sample
def test_the_row_calls_its_operation_and_keeps_only_inputs_and_outputs(case: Case, sample: Sample) -> None:
    seen = collected(case, sample, backward=False)
    assert seen.forwards, f"this call never reaches {case.op!r}"
    for _op, inputs, output, _node, saved in seen.forwards:
        known = [*inputs, *several(output), *[x.shape for x in inputs if hasattr(x, "shape")]]
        for value in saved or ():
            assert any(value is k or (type(value) is type(k) is tuple and value == k) for k in known), (
                "an intermediate is kept"
            )


@every_formula
def test_the_rule_keeps_to_the_vocabulary(case: Case, sample: Sample, spy: SpyNamespace) -> None:
    seen = collected(case, sample)
    for op, inputs, output, _, _ in seen.forwards:
        for f, e in zip(several(opened(op.forward(spy, *spied(inputs)))), several(output), strict=True):
            np.testing.assert_array_equal(f, e)
    for node, gy_, gxs, saved in seen.backwards:
        again = node.op.backward(spy, spied(saved), spied(gy_), node.parents)
        for f, e in zip(several(opened(again)), gxs, strict=True):
            if e is not None:
                np.testing.assert_array_equal(f, e)


@every_formula
def test_the_rule_read_with_tensors_gives_the_same_value(case: Case, sample: Sample) -> None:
    xp = NAMESPACES[Tensor]
    for op, inputs, output, _, _ in collected(case, sample, backward=False).forwards:
        tensors = [Tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
        for f, e in zip(several(op.forward(xp, *tensors)), several(output), strict=True):
            np.testing.assert_allclose(f._array, e, rtol=1e-12, atol=1e-13)


@one_smooth
def test_an_unwanted_gradient_is_not_computed_wrongly(case: Case, sample: Sample) -> None:
    """Each input alone wants its gradient: the same numbers as when all do."""
    arrays = sample.arrays(np.float64)
    leaves = [leaf(a) for a in arrays]
    outs = outputs_of(case.call(*leaves, **sample.static))
    gys = [np.random.default_rng(5).normal(size=t.shape) for t in outs]
    graphs = [t._node is not None for t in outs]
    whole = iter(
        run_backward([t for t, ok in zip(outs, graphs) if ok], leaves, [g for g, ok in zip(gys, graphs) if ok])
    )
    expected = [next(whole) if t._node is not None else None for t in leaves]
    for i, a in enumerate(arrays):
        if a.dtype.kind != "f":
            continue
        alone = [leaf(b) if j == i else Tensor(b) for j, b in enumerate(arrays)]
        outs = outputs_of(case.call(*alone, **sample.static))
        pairs = [(t, g) for t, g in zip(outs, gys, strict=True) if t._node is not None]
        if pairs:
            (found,) = gradients_of([t for t, _ in pairs], [alone[i]], [g for _, g in pairs], False, False)
            if expected[i] is not None:
                np.testing.assert_allclose(found, expected[i], rtol=1e-12, atol=1e-13)


@one_sample
def test_a_call_is_described_by_a_hashable_operation(case: Case, sample: Sample) -> None:
    for op, *_ in collected(case, sample, backward=False).forwards:
        assert op == op and isinstance(hash(op), int)
        assert repr(op).startswith(op.name)


# -- errors ----------------------------------------------------------------------------------------------------------
REFUSALS = [pytest.param(c, r, id=f"{c.op}-{i}") for c in CASES for i, r in enumerate(c.errors)]


@pytest.mark.parametrize(("case", "refusal"), REFUSALS)
def test_bad_input_gives_this_message(case: Case, refusal: Refusal) -> None:
    with pytest.raises(GyakuError) as caught:
        refusal.call()
    error = caught.value
    error.context = ""  # the line of this file
    assert str(error) == refusal.text


# -- the table itself --------------------------------------------------------------------------------------------------
def test_every_operation_has_one_row() -> None:
    rows = [c.op for c in CASES]
    assert sorted(set(rows)) == sorted(rows), "an operation has two rows"
    mine = {name for name, cls in REGISTRY.items() if cls.__module__.startswith("gyaku.")}
    assert sorted(mine - set(rows)) == [], "operations without a row in tests/op_cases.py"
    assert sorted(set(rows) - mine) == [], "rows without an operation"


@pytest.mark.parametrize("case", CASES, ids=[c.op for c in CASES])
def test_the_row_agrees_with_the_class(case: Case) -> None:
    cls = REGISTRY[case.op]
    assert cls.__doc__, "an operation says its formula"
    assert cls.differentiable == case.smooth or not case.smooth, "smooth rows need a differentiable operation"
    assert cls.differentiable is False or case.smooth or case.op in ("cast", "move"), "a derivative without a check"
