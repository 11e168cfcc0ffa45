"""``import gyaku as torch``: the names of the front door."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import DataError, DtypeError, GyakuError, UnknownNameError

TOP = (
    "tensor as_tensor from_numpy zeros ones full empty arange linspace eye rand randn randint randperm "
    "bernoulli normal multinomial zeros_like ones_like full_like empty_like rand_like randn_like randint_like "
    "manual_seed Generator float16 float32 float64 float double half uint8 int8 int16 short int32 int int64 "
    "long bool Tensor device no_grad enable_grad inference_mode set_grad_enabled is_grad_enabled cat stack "
    "split chunk where gather scatter_add scatter take_along_dim index_select masked_fill maximum minimum "
    "clamp einsum matmul bmm mm mv addmm tensordot outer dot norm logsumexp softmax log_softmax allclose isnan "
    "isfinite argmax topk sort argsort unique bincount cumsum tril triu meshgrid autograd heaviside save load "
    "cuda Size finfo iinfo is_tensor numel set_default_dtype get_default_dtype get_rng_state set_rng_state "
    "get_num_threads set_num_threads nonzero masked_select nn optim utils data exp log sum mean"
).split()

METHODS = (
    "data grad requires_grad requires_grad_ grad_fn is_leaf retain_grad register_hook backward detach clone "
    "item tolist numpy shape size dim ndim numel dtype device to cpu cuda float double long bool type_as view "
    "reshape flatten unflatten squeeze unsqueeze transpose permute T mT expand expand_as repeat contiguous sum "
    "mean prod topk gather sort chunk split masked_fill triu tril max min amax amin argmax argmin var std any "
    "all cumsum norm exp log log1p expm1 sqrt rsqrt pow abs sign sin cos tanh sigmoid relu erf reciprocal "
    "floor ceil round clamp softmax log_softmax logsumexp zero_ fill_ copy_ normal_ uniform_ add_ sub_ mul_ "
    "div_ __array__ __dlpack__ __repr__ _repr_html_ __getitem__ __setitem__ matmul mm scatter_add scatter "
    "take_along_dim index_select nonzero half int"
).split()


@pytest.mark.parametrize("name", TOP)
def test_a_name_of_the_top_level(name: str) -> None:
    assert getattr(gy, name) is not None


@pytest.mark.parametrize("name", METHODS)
def test_a_name_of_the_tensor(name: str) -> None:
    assert getattr(gy.Tensor, name) is not None


def test_dir_lists_the_lazy_rooms_and_no_machinery() -> None:
    names = dir(gy)
    assert {"nn", "optim", "data", "exp", "save", "float32"} <= set(names)
    assert not {"annotations", "importlib", "warnings", "Any"} & set(names)


@pytest.mark.parametrize(("name", "near"), [("tensro", "tensor"), ("sofmax", "softmax"), ("flaot32", "float32")])
def test_a_typo_at_the_top_level_is_answered(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"^gyaku: .*Hint: did you mean '{near}'\?"):
        getattr(gy, name)
    assert not hasattr(gy, name)


def test_a_typo_in_a_tensor_method_is_answered() -> None:
    with pytest.raises(UnknownNameError, match=r"^Tensor: .*did you mean 'reshape'\?"):
        gy.ones(2).reshpe(2)  # type: ignore[attr-defined]


def test_a_script_for_pytorch_runs_under_another_name() -> None:
    code = """
import gyaku as torch
import gyaku.nn as nn
import gyaku.nn.functional as F
import gyaku.optim as optim
from gyaku.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(64, 2)
t = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = optim.Adam(model.parameters(), lr=0.05)
first = last = None
for epoch in range(30):
    for xb, tb in DataLoader(TensorDataset(x, t), batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), tb)
        loss.backward()
        optimizer.step()
        first = loss.item() if first is None else first
        last = loss.item()
with torch.no_grad():
    accuracy = (model(x).argmax(1) == t).float().mean().item()
assert last < first and accuracy > 0.8, (first, last, accuracy)
assert torch.nn is nn and torch.optim is optim
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def test_overflow_inside_the_package_is_silent_and_outside_is_not() -> None:
    code = """
import warnings
warnings.simplefilter("error")
import numpy as np, gyaku as gy
assert gy.tensor([1e4]).exp().item() == float("inf")
assert gy.tensor([-1.0]).log().isnan().item()
assert (gy.tensor([1.0]) / gy.tensor([0.0])).item() == float("inf")
try:
    np.exp(np.array([1e4]))
except RuntimeWarning:
    print("outside")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "outside\n", done.stderr


def test_one_dtype_has_one_object() -> None:
    assert gy.float is gy.float32 and gy.double is gy.float64 and gy.half is gy.float16
    assert gy.long is gy.int64 and gy.int is gy.int32 and gy.short is gy.int16
    assert gy.ones(1).dtype is gy.float32 and gy.tensor([1]).dtype is gy.int64 and gy.tensor(True).dtype is gy.bool


def test_limits_of_types() -> None:
    assert (
        gy.finfo(gy.float32).eps == 2.0**-23
        and gy.finfo().bits == 32
        and gy.finfo(gy.float64).max == np.finfo(float).max
    )
    assert gy.iinfo(gy.int8) == ("int8", 8, 127, -128)
    with pytest.raises(DtypeError, match="use iinfo"):
        gy.finfo(gy.int64)


def test_sizes_count_elements() -> None:
    x = gy.zeros(2, 3)
    assert x.shape == (2, 3) == x.size() == gy.Size([2, 3])
    assert x.shape.numel() == 6 and x.size(1) == 3 and isinstance(x.shape, tuple)


def test_default_dtype_decides_what_floats_become() -> None:
    gy.set_default_dtype(gy.float64)
    try:
        assert gy.tensor(1.5).dtype is gy.float64 and gy.zeros(1).dtype is gy.float64 and gy.rand(1).dtype is gy.float64
    finally:
        gy.set_default_dtype(gy.float32)
    with pytest.raises(DtypeError):
        gy.set_default_dtype(gy.int64)


def test_threads_can_be_read_and_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")  # threadpoolctl sets it when it is imported
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed: pip install 'gyaku[threads]'")
    before = gy.get_num_threads()
    try:
        gy.set_num_threads(1)
        assert gy.get_num_threads() == 1
    finally:
        gy.set_num_threads(before)
    for wrong in (0, 1.5, True):
        with pytest.raises(GyakuError, match="set_num_threads: expected a whole number"):
            gy.set_num_threads(wrong)  # type: ignore[arg-type]


def test_cuda_answers_without_a_gpu() -> None:
    assert isinstance(gy.cuda.is_available(), bool) and gy.cuda.device_count() >= 0


# --- save and load ---


def test_a_tree_of_tensors_comes_back(tmp_path: Path) -> None:
    tree = {
        "model": {"0.weight": gy.randn(3, 2), "0.bias": gy.zeros(3, dtype=gy.float64, requires_grad=True)},
        "steps": [1, 2.5, float("inf"), "text", None, True],
        "ids": gy.tensor([[1, 2]]),
        "mask": gy.tensor(True),
        "half": gy.ones(0, 2, dtype=gy.float16),
        "view": gy.arange(6).reshape(2, 3).T,
    }
    path = tmp_path / "x.safetensors"
    gy.save(tree, path)
    back = gy.load(path)
    assert back["steps"] == tree["steps"]
    for one, two in zip(leaves(tree), leaves(back), strict=True):
        assert one.dtype is two.dtype and one.shape == two.shape and np.array_equal(one._array, two._array)
        assert not two.requires_grad
    gy.save(tree, tmp_path / "y.safetensors")
    assert path.read_bytes() == (tmp_path / "y.safetensors").read_bytes()


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [t for v in tree.values() for t in leaves(v)]
    return [tree] if isinstance(tree, gy.Tensor) else []


def test_loaded_tensors_can_be_written_to(tmp_path: Path) -> None:
    gy.save(gy.zeros(2), tmp_path / "x")
    x = gy.load(tmp_path / "x", map_location="cpu")
    x[0] = 1
    assert x.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("start", [b"PK\x03\x04rest", b"\x80\x02}q\x00.", b"\x80\x04\x95"])
def test_a_pickle_is_refused_with_a_hint(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(start)
    with pytest.raises(DataError, match=r"model\.pt: .*could run code\. Hint: .*safetensors\.torch\.save_file"):
        gy.load(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.bin"
    path.write_bytes(content)
    if content.endswith(b"{}"):
        content = content[:4]
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"wrong\.bin"):
        gy.load(path)


def test_a_missing_file_and_an_object_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GyakuError, match="nothing-here"):
        gy.load(tmp_path / "nothing-here")
    with pytest.raises(DtypeError, match=r"model\.fn: function"):
        gy.save({"model": {"fn": leaves}}, tmp_path / "x")
    with pytest.raises(DtypeError, match="save: expected the name of a file"):
        gy.save({}, 3)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


# --- how tensors look (recorded from PyTorch 2.13.0, with torch replaced by gyaku) ---

LOOKS: list[tuple[Any, str]] = [
    (gy.tensor(3.0), "tensor(3.)"),
    (gy.tensor(7), "tensor(7)"),
    (gy.tensor([]), "tensor([])"),
    (gy.zeros(0, 3), "tensor([], size=(0, 3))"),
    (gy.zeros(0, dtype=gy.int64), "tensor([], dtype=gyaku.int64)"),
    (gy.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
    (gy.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
    (gy.tensor([1e9, 1.0]), "tensor([1.0000e+09, 1.0000e+00])"),
    (gy.tensor([float("nan"), 1.0, -float("inf")]), "tensor([nan, 1., -inf])"),
    (gy.tensor([True, False]), "tensor([ True, False])"),
    (gy.tensor([[1, -2], [30, 4]]), "tensor([[ 1, -2],\n        [30,  4]])"),
    (gy.tensor([1, 2], dtype=gy.int32), "tensor([1, 2], dtype=gyaku.int32)"),
    (gy.ones(2, dtype=gy.float64, requires_grad=True), "tensor([1., 1.], dtype=gyaku.float64, requires_grad=True)"),
    (gy.arange(1001), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    (gy.nn.Parameter(gy.ones(1)), "Parameter containing:\ntensor([1.], requires_grad=True)"),
]


@pytest.mark.parametrize(("t", "text"), LOOKS, ids=[look[1] for look in LOOKS])
def test_how_a_tensor_looks(t: Any, text: str) -> None:
    assert repr(t) == text


def test_results_show_their_operation() -> None:
    x = gy.ones(2, requires_grad=True)
    assert repr(x * 2) == "tensor([2., 2.], grad_fn=<MulBackward>)"
    assert "grad_fn" not in repr((x * 2).detach())


def test_a_long_tensor_is_summarised_at_both_edges() -> None:
    text = repr(gy.zeros(3, 500, 500))
    assert text.count("...") == 3 * 7 and text.count("\n\n") == 2 and len(text) < 2000


def test_a_notebook_shows_shape_and_type() -> None:
    html = gy.ones(2, 3)._repr_html_()
    assert "Tensor (2, 3) gyaku.float32 on cpu" in html and "tensor([[1., 1., 1.]" in html


def test_the_warnings_filter_is_only_for_this_package() -> None:
    ours = [f for f in warnings.filters if f[0] == "ignore" and f[2] is RuntimeWarning and f[1] is not None]
    assert all(f[3] is not None for f in ours)


def test_arguments_that_pytorch_takes_one_by_one_or_by_name() -> None:
    x = gy.arange(6).reshape(2, 3)
    assert gy.flip(x, dims=[0]).tolist() == x.flip(0).tolist() == [[3, 4, 5], [0, 1, 2]]
    assert x.permute(dims=(1, 0)).tolist() == x.permute(1, 0).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert gy.reshape(x, shape=(3, 2)).shape == (3, 2) and gy.tile(x, dims=(2,)).shape == (2, 6)
    assert [p.shape for p in x.split(split_size=2, dim=1)] == [(2, 2), (2, 1)]
    assert (x.stride(), x.stride(0), x.short().dtype, gy.is_floating_point(x)) == ((3, 1), 3, gy.int16, False)
    assert gy.bernoulli(gy.empty(3), 1.0).tolist() == [1.0] * 3 and gy.bernoulli(gy.empty(3), 0.0).tolist() == [0.0] * 3
    assert gy.ger is gy.outer and gy.detach(gy.ones(2, requires_grad=True)).requires_grad is False


def test_a_range_counted_from_the_end() -> None:
    assert gy.arange(6).narrow(0, -4, 3).tolist() == [2, 3, 4] and gy.arange(6).narrow(0, -1, 1).tolist() == [5]


def test_dlpack_shares_memory_both_ways() -> None:
    array = np.arange(3.0)
    t = gy.from_dlpack(array)
    array[0] = 7.0
    assert t.tolist() == [7.0, 1.0, 2.0]
    assert np.from_dlpack(gy.tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="from_dlpack: expected a CPU array that speaks DLPack, got list"):
        gy.from_dlpack([1.0])
