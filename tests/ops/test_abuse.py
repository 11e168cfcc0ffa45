"""Edges of operations that once gave a wrong number, a wrong type or a bare error; PyTorch 2.13 is the oracle."""

from __future__ import annotations

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError, DtypeError

HALF = gy.full((3000,), 300.0, dtype=gy.float16)


def test_means_norms_and_losses_of_float16_do_not_overflow_on_the_way() -> None:
    assert HALF.mean().item() == 300
    assert (HALF / 30).norm().item() == pytest.approx(547.5, abs=0.5)
    assert gy.nn.functional.mse_loss(HALF / 3, gy.zeros_like(HALF)).item() == 10000
    p = gy.zeros(3000, dtype=gy.float16, requires_grad=True)
    p.grad = HALF.clone()
    gy.nn.utils.clip_grad_norm_([p], 1.0)
    assert p.grad[0].item() == pytest.approx(1 / 3000**0.5, rel=1e-2)


def test_the_gradient_of_a_mean_over_no_counted_label_is_zero() -> None:
    x = gy.ones(2, 3, requires_grad=True)
    loss = gy.nn.functional.cross_entropy(x, gy.tensor([-100, -100]))
    loss.backward()
    assert np.isnan(loss.item()) and x.grad.abs().sum().item() == 0


def test_logsumexp_at_infinity_and_of_nothing() -> None:
    x = gy.tensor([float("inf"), 1.0], requires_grad=True)
    x.logsumexp(0).backward()
    assert np.isnan(x.grad[0].item()) and x.grad[1].item() == 0
    assert gy.zeros(2, 0).logsumexp(1).tolist() == [-float("inf")] * 2


def test_empty_tensors_in_cat_keep_their_type_and_get_a_gradient() -> None:
    x, y = gy.zeros(0, dtype=gy.float64, requires_grad=True), gy.ones(2, 3, requires_grad=True)
    z = gy.cat([x, y], 1)
    assert z.dtype is gy.float64
    z.sum().backward()
    assert x.grad.shape == (0,)


def test_promotion_looks_at_all_numbers_with_dimensions_before_those_without() -> None:
    one = gy.tensor(1.0, dtype=gy.float64)
    assert gy.stack([one, one]).dtype is gy.float64
    # int64 with dimensions, float64 without, float32 with: the floats with dimensions decide
    from gyaku.core.op import REGISTRY, apply

    op = REGISTRY["where"]()
    assert apply(op, gy.tensor([True]), gy.tensor([1]), one).dtype is gy.float64


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gy.tensor([250], dtype=gy.uint8) + 300, "add (forward): expected numbers within the type"),
        (lambda: 2 ** gy.tensor([-1]), "exponents of at least 0 among whole numbers"),
        (lambda: gy.zeros(2).norm("xyz"), "norm: expected p = 'fro' or a number"),
        (lambda: gy.einsum("i->"), "einsum: expected at least one operand"),
        (lambda: gy.randint(0, 300, (2,), dtype=gy.uint8), "randint: expected ends that uint8 can hold"),
        (lambda: gy.Generator(1).set_state({}), "set_state: expected what get_state gave"),
        (lambda: gy.Generator(1).set_state({"seed": -1, "stream": 0, "counter": 0}), "set_state: expected seed"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_one_sentence(call, words: str) -> None:
    with pytest.raises((ArgumentError, ValueError)) as caught:
        call()
    assert words in str(caught.value)


def test_nothing_and_text_are_not_written() -> None:
    x = gy.zeros(2)
    with pytest.raises(DtypeError, match="index write: expected a tensor or numbers, got None"):
        x[0] = None
    with pytest.raises(DtypeError, match="fill_: expected one number"):
        x.fill_("a")
    assert x.tolist() == [0, 0]


def test_pad_returns_memory_of_its_own() -> None:
    x = gy.ones(2, 3)
    for widths in ((0, 0), (-1, 0)):
        gy.nn.functional.pad(x, widths).fill_(7)
    assert x.sum().item() == 6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gy.outer([1, 2], [3]), "outer: expected arguments that fit outer(input, vec2), got ([1, 2], [3])"),
        (lambda: gy.zeros(2, 3).topk("a"), "topk: expected arguments that fit topk(input, k, dim, largest, sorted)"),
        (lambda: gy.gather(gy.zeros(2)), "gather: expected arguments that fit gather(input, dim, index"),
        (lambda: gy.nn.functional.cross_entropy(gy.zeros(2, 3), [0, 1]), "cross_entropy: expected arguments"),
        (lambda: gy.zeros(2, 3).reshape([gy.zeros(9, 9)]), "reshape: expected sizes as integers"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused_in_one_line(call, words: str) -> None:
    with pytest.raises((DtypeError, ArgumentError)) as caught:
        call()
    text = str(caught.value)
    assert words in text and "\n" not in text and "test_abuse.py" in text


def test_lists_of_numpy_numbers_keep_their_type() -> None:
    assert gy.tensor([[np.float64(1)]]).dtype is gy.float64 and gy.tensor([np.mean([1.0, 2.0])]).dtype is gy.float64
    assert gy.tensor([gy.tensor(1.0, dtype=gy.float64)]).dtype is gy.float64
    assert gy.tensor([1.0]).dtype is gy.float32 and gy.tensor([[]]).dtype is gy.float32
