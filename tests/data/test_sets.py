"""The sets with a name: embedded digits, MNIST's family, made-up data; `load`, `describe` and their messages."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyaku.base.errors import ArgumentError, DataError, MissingPackageError, ShapeError, UnknownNameError
from gyaku.data import describe, digits, fashion_mnist, from_arrays, load, mnist, prepare, synthetic, write_idx
from gyaku.data.digits import DIGITS_FILE, DIGITS_SHA256
from gyaku.data.mnist import FASHION, MNIST, Collection

MODULE = sys.modules["gyaku.data.mnist"]


def test_embedded_digits_are_the_uci_test_digits() -> None:
    content = DIGITS_FILE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256 and len(content) < 50_000
    x, t = digits()
    assert x.shape == (1797, 1, 8, 8) and x.dtype == np.uint8 and (x.min(), x.max()) == (0, 16)
    assert np.bincount(t).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180] and t.dtype == np.int64
    assert t[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert x[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and int(x.sum()) == 561718
    attribution = (DIGITS_FILE.parent / "DIGITS.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in attribution and "10.24432/C50P49" in attribution and "Alpaydin" in attribution


def test_digits_as_a_source() -> None:
    source = load("digits")
    assert source.digest == DIGITS_SHA256 and source.white == 16.0 and "CC BY 4.0" in source.origin
    assert prepare(source).x_train.min() == pytest.approx(-0.304701 / 0.375764, rel=1e-5)


@pytest.mark.parametrize("name", ["xor", "moons", "circles", "spirals", "noisy_curve"])
def test_made_up_data(name: str) -> None:
    make: Callable[..., Any] = getattr(synthetic, name)
    x, t = make(60, noise=0.1, seed=3)
    again, _ = make(60, noise=0.1, seed=3)
    other, _ = make(60, noise=0.1, seed=4)
    assert len(x) == len(t) == 60 and x.ndim == 2 and x.dtype == np.float64
    np.testing.assert_array_equal(x, again)
    assert not np.array_equal(x, other)
    if name != "noisy_curve":
        assert t.dtype == np.int64 and np.ptp(np.bincount(t)) <= 1, "classes are of equal size"
    for bad in ({"n": 0}, {"noise": -1.0}, {"noise": float("nan")}):
        with pytest.raises(ArgumentError, match="n >= 1 and noise >= 0"):
            make(**bad)


def test_made_up_shapes_without_noise() -> None:
    x, t = synthetic.moons(50, noise=0.0)
    centre = np.where(t[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.linalg.norm(x - centre, axis=1), 1.0)
    x, t = synthetic.circles(50, noise=0.0, factor=0.25)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), np.where(t == 0, 1.0, 0.25))
    x, t = synthetic.spirals(50, noise=0.0, classes=4)
    radius, angle = np.linalg.norm(x, axis=1), np.arctan2(x[:, 1], x[:, 0])
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(2j * np.pi * (0.75 * radius + t / 4)))
    x, t = synthetic.noisy_curve(50, noise=0.0, curve="square")
    np.testing.assert_array_equal(t, x[:, 0] ** 2)
    x, t = synthetic.xor(50, noise=0.0)
    np.testing.assert_array_equal(t, (x[:, 0] * x[:, 1] < 0))


def test_made_up_misuse() -> None:
    with pytest.raises(ArgumentError, match="at least 2 classes, got 1"):
        synthetic.spirals(classes=1)
    with pytest.raises(UnknownNameError, match="did you mean 'cubic'"):
        synthetic.noisy_curve(curve="cubik")


def test_load_takes_options_of_made_up_data_and_refuses_others() -> None:
    source = load("spirals", n=30, noise=0.0, seed=5)
    assert len(source) == 30 and "seed=5, n=30, noise=0.0" in source.origin
    assert source.digest == load("spirals", n=30, noise=0.0, seed=5).digest != load("spirals", n=30, noise=0.0).digest
    with pytest.raises(ArgumentError, match="load 'digits': expected no options, got n"):
        load("digits", n=3)
    with pytest.raises(ArgumentError, match="load 'mnist': expected folder, got text"):
        load("mnist", text=["a"])


def test_load_unknown(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match="a known data set, file or folder.*got 'digts'. Hint: did you mean 'digits'"
    ):
        load("digts")
    (tmp_path / "sales.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="got none of that name. Hint: did you mean 'sales.csv'"):
        load(tmp_path / "sale.csv")
    (tmp_path / "a.xlsx").write_text("a")
    with pytest.raises(DataError, match="got 'a.xlsx'. Hint: rename the file by its format"):
        load(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="none of that name"):
        load(tmp_path / ("x" * 5000 + ".csv"))
    with pytest.raises(UnknownNameError):
        load("a\0b")
    pytest.importorskip("pandas")
    with pytest.raises(UnknownNameError, match="target of 'sales.csv'.*column"):
        load(tmp_path / "sales.csv", target="c")
    with pytest.raises(DataError, match="images carry labels"):
        load("digits", target="x")


# ------------------------------------------------------------------------------------------- MNIST's family
def family(folder: Path, n: int = 6, compress: bool = True, mark: str = "-", seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    end = ".gz" if compress else ""
    for part, count in (("train", n), ("t10k", 3)):
        images = (np.arange(count * 16) % 251 + seed).astype(np.uint8).reshape(count, 4, 4)
        write_idx(folder / f"{part}-images{mark}idx3-ubyte{end}", images, compress=compress)
        write_idx(folder / f"{part}-labels{mark}idx1-ubyte{end}", np.arange(count, dtype=np.uint8), compress=compress)
    return folder


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
def test_a_folder_of_four_files(tmp_path: Path, compress: bool, mark: str) -> None:
    family(tmp_path, compress=compress, mark=mark)
    for source in (mnist(tmp_path), load("mnist", folder=tmp_path)):
        assert source.images is not None and source.images.shape == (6, 1, 4, 4) and len(source.label_names) == 10
        assert source.test is not None and len(source.test) == 3 and source.origin == str(tmp_path)
    assert load(tmp_path).label_names == tuple("012345")
    images = load(next(tmp_path.glob("t10k-images*"))).images
    assert images is not None and images.shape == (3, 1, 4, 4)
    assert fashion_mnist(tmp_path).label_names[9] == "Ankle boot"


def test_folder_refusals(tmp_path: Path) -> None:
    family(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.array([0, 1, 2, 3, 10, 5], dtype=np.uint8))
    with pytest.raises(DataError, match=r"train-labels.*labels in 0..9, got 10 in row 5"):
        mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="expected the file t10k-labels-idx1-ubyte .or .gz., got none"):
        load(tmp_path)
    with pytest.raises(DataError, match="expected the file train-images-idx3-ubyte"):
        mnist(tmp_path / "nowhere")


def test_gyaku_data_names_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family(tmp_path)
    family(tmp_path / "fashion-mnist", seed=2)
    monkeypatch.setenv("GYAKU_DATA", str(tmp_path))
    assert mnist().origin == str(tmp_path / ".") and fashion_mnist().origin == str(tmp_path / "fashion-mnist")
    family(tmp_path / "mnist", seed=1)
    assert mnist().origin == str(tmp_path / "mnist")


def test_real_mnist(data_folder: Path) -> None:
    source = load("mnist", folder=data_folder)
    assert source.test is not None and len(source.test) == 10_000 and source.test.labels is not None
    assert np.bincount(source.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert len(source) in (10_000, 60_000)
    data = prepare(source)
    assert data.sizes["test"] == 10_000 and data.official_test and data.kind == "multiclass"
    rule = data.recipe.image
    assert rule is not None and abs(rule.mean - 0.1307) < 0.002 and abs(rule.std - 0.3081) < 0.002


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A mirror on this machine: `good/` holds the files, `bad/` others under the same names."""
    family(tmp_path / "www" / "good")
    family(tmp_path / "www" / "bad", seed=1)
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Collection]:
    """A set of the family with the hashes of `good/`, found at the given mirrors."""
    pytest.importorskip("pooch")
    monkeypatch.setenv("GYAKU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("GYAKU_DATA", raising=False)

    def make(*mirrors: str) -> Collection:
        names = [f"{p}-{k}-ubyte.gz" for p in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]
        sums = [hashlib.sha256((tmp_path / "www" / "good" / name).read_bytes()).hexdigest() for name in names]
        monkeypatch.setattr(MODULE, "MNIST", Collection("mnist", mirrors, tuple(sums), tuple("0123456789")))
        return MODULE.MNIST

    return make


def test_mirrors_are_tried_in_turn_and_the_hash_decides(
    server: str, small: Callable[..., Collection], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small(server + "gone/", server + "bad/", server + "good/")
    source = mnist()
    assert source.digest == mnist(tmp_path / "www" / "good").digest
    kept = sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir())
    assert len(kept) == 4 and capfd.readouterr() == ("", "")
    small("http://127.0.0.1:9/nothing/")
    assert load("mnist").digest == source.digest, "the second time needs no network"


def test_offline_one_message_says_how_to_pass_a_folder(server: str, small: Callable[..., Collection]) -> None:
    small("http://127.0.0.1:9/nothing/", server + "bad/")
    with pytest.raises(DataError) as caught:
        mnist()
    text = str(caught.value)
    assert "train-images-idx3-ubyte.gz from a mirror or the cache, got 127.0.0.1:9: no answer" in text
    assert "another SHA-256" in text and "Hint: pass a folder that holds" in text and "GYAKU_DATA" in text


def test_without_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("GYAKU_DATA", raising=False)
    with pytest.raises(MissingPackageError, match=r"gyaku\[downloads\]"):
        mnist()


def test_pinned_hashes_are_whole_and_differ() -> None:
    sums = MNIST.sha256 + FASHION.sha256
    assert len(set(sums)) == 8 and all(len(s) == 64 and set(s) <= set("0123456789abcdef") for s in sums)
    assert len(MNIST.mirrors) >= 2 and len(FASHION.mirrors) >= 2


# ------------------------------------------------------------------------------------------- arrays and describe
def test_from_arrays() -> None:
    images = from_arrays(np.zeros((3, 5, 6, 3)), [2, 0, 2]).images
    assert images is not None and images.shape == (3, 3, 5, 6) and images.dtype == np.float32
    named = from_arrays(np.zeros((5, 2, 2)), np.array(["c", "い", "a", "b", "い"]))
    assert named.label_names == ("a", "b", "c", "い") and named.labels is not None
    assert named.labels.tolist() == [2, 3, 0, 1, 3] and named.white == 1.0
    table = from_arrays(np.arange(3), np.array([0.5, 1.5, np.nan]))
    assert list(table.columns) == ["x1", "t"] and table.columns["x1"].dtype == np.int64
    for x, t in ((np.zeros((3, 2)), [1, 2]), (np.zeros((3, 2)), np.zeros((3, 1))), (np.zeros((0, 2)), None)):
        with pytest.raises(ShapeError, match="from_arrays"):
            from_arrays(x, t)


def test_describe_is_plain_json() -> None:
    table = describe(from_arrays(np.array([[1.0, 2.0], [np.nan, np.inf]]), np.array(["い", "ろ"])))
    assert json.loads(json.dumps(table)) == table
    assert table["columns"][0] == {
        "name": "x1", "type": "number", "missing": 1, "distinct": 1, "min": 1.0, "max": 1.0, "mean": 1.0
    }  # fmt: skip
    assert table["columns"][2] == {
        "name": "t",
        "type": "text",
        "missing": 0,
        "distinct": 2,
        "common": {"い": 1, "ろ": 1},
    }
    assert table["classes"] == {"い": 1, "ろ": 1} and table["missing"] == 1 and table["target"] == "t"
    common = describe(from_arrays(np.arange(6), np.array(list("cabbcc"))))["columns"][1]["common"]
    assert list(common.items()) == [("c", 3), ("b", 2), ("a", 1)]
    images = describe(load("digits"))
    assert json.loads(json.dumps(images)) == images and sum(images["classes"].values()) == 1797


def test_same_bits_in_three_processes_with_three_hash_seeds(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    rows = "".join(f"{i % 7},{'abc'[i % 3]},{'いろは'[i % 3]}\n" for i in range(60))
    (tmp_path / "a.csv").write_text("x,s,t\n" + rows, encoding="utf-8")
    code = (
        "import hashlib, json, sys; from gyaku.data import load, prepare\n"
        "h = hashlib.sha256()\n"
        "for s in (load(sys.argv[1], target='t'), load('digits'), load('spirals')):\n"
        "    p = prepare(s, seed=5)\n"
        "    for a in (p.x_train, p.t_train, p.x_dev, p.x_test, p.rows_train, p.rows_dev): h.update(a.tobytes())\n"
        "    h.update(json.dumps([p.recipe.to_json(), p.warnings, p.digest]).encode())\n"
        "print(h.hexdigest())"
    )
    seen = set()
    for seed in ("0", "1", "12345"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        call = [sys.executable, "-c", code, str(tmp_path / "a.csv")]
        seen.add(subprocess.run(call, env=env, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert len(seen) == 1 and len(seen.pop()) == 65


def test_the_room_needs_numpy_only() -> None:
    code = (
        "import sys, gyaku.data as d; d.prepare(d.load('digits')); "
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'pandas', 'PIL', 'pooch', 'pyarrow', 'tqdm'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout == "\n"


def test_no_permission(tmp_path: Path) -> None:
    path = shutil.copy(DIGITS_FILE, tmp_path / "a.csv")
    os.chmod(path, 0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DataError, match="Permission denied"):
        load(path)
