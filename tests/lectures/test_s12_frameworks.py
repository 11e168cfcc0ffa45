"""Section 12, frameworks and devices: S0's code with only its import line changed."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.backend.devices import cuda_is_available


def test_12_1_build_an_expression_call_backward_read_grad() -> None:
    x = gy.tensor([1.0, 2.0, 3.0], requires_grad=True)
    E = ((2 * x - 1) ** 2).sum()
    E.backward()
    assert E.item() == 35.0 and x.grad.tolist() == [4.0, 12.0, 20.0]


def test_12_1_array_and_tensor_code_look_alike() -> None:
    def forward(xp: Any, x: Any, W: Any, b: Any) -> Any:
        h = xp.tanh(x @ W + b)
        return (h * h).sum() / len(x)

    rng = np.random.default_rng(12)
    arrays = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    assert forward(gy, *map(gy.tensor, arrays)).item() == pytest.approx(forward(np, *arrays), rel=1e-12)


S0 = textwrap.dedent("""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    import torch.optim as optim
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)

    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    model[0].weight.data = torch.tensor([[0.1]])
    model[0].bias.data = torch.tensor([0.4])
    model[2].weight.data = torch.tensor([[0.5]])
    model[2].bias.data = torch.tensor([0.9])
    before = {name: p.grad for name, p in model.named_parameters()}
    x = torch.tensor([[3.0]])
    t = torch.tensor([[4.0]])
    E = nn.MSELoss()(model(x), t)
    E.backward()
    after = {name: p.grad.item() for name, p in model.named_parameters()}

    class MyMnistNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(28 * 28, 32)
            self.fc2 = nn.Linear(32, 10)

        def forward(self, x):
            x = x.view(-1, 28 * 28)
            x = F.relu(self.fc1(x))
            return self.fc2(x)

    device = torch.device("cuda" if torch.cuda.is_available() and USE_GPU else "cpu")
    images = torch.rand(64, 1, 28, 28)
    labels = torch.arange(64) % 10
    loader = DataLoader(TensorDataset(images, labels), batch_size=16, shuffle=True)
    net = MyMnistNet().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for epoch in range(40):
        net.train()
        total = 0.0
        for x, y in loader:
            x = x.to(device)
            y = y.to(device)
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        losses.append(total / len(loader.dataset))
    net.eval()
    with torch.no_grad():
        predicted = net(images.to(device)).argmax(dim=1)
        accuracy = (predicted.cpu() == labels).float().mean().item()
""")


def run_s0(use_gpu: bool) -> dict[str, Any]:
    """Run S0's script after changing nothing but the name of the package in its import lines."""
    lines = [
        line.replace("import torch", "import gyaku as torch", 1)
        if line.startswith("import torch") and "." not in line
        else line.replace("torch", "gyaku", 1)
        if line.startswith(("import torch.", "from torch."))
        else line
        for line in S0.splitlines()
    ]
    names: dict[str, Any] = {"USE_GPU": use_gpu, "__name__": "s0"}
    state = gy.get_rng_state()
    try:
        exec(compile("\n".join(lines), "s0.py", "exec"), names)  # noqa: S102  our own text above
    finally:
        gy.set_rng_state(state)
    return names


def test_12_2_the_device_is_moved_to_by_three_calls() -> None:
    device = gy.device("cpu")
    x, y = gy.ones(2, 3).to(device), gy.zeros(2).to(device)
    model = gy.nn.Linear(3, 1).to(device)
    assert x.device == y.device == next(model.parameters()).device == gy.device("cpu")
    assert gy.device("cuda") == gy.device("cuda:0") and str(gy.device("cuda")) == "cuda"  # the default of several


@pytest.mark.skipif(cuda_is_available(), reason="a GPU answers here")
def test_12_2_without_a_gpu_one_clear_message() -> None:
    with pytest.raises((ImportError, RuntimeError), match="device"):
        gy.ones(2).to(gy.device("cuda"))


def test_12_3_the_script_of_s0_runs_with_only_its_import_lines_changed() -> None:
    names = run_s0(use_gpu=False)
    assert set(names["before"].values()) == {None} and names["E"].item() == pytest.approx(7.5625)
    assert names["after"] == pytest.approx({"0.weight": -8.25, "0.bias": -2.75, "2.weight": -3.85, "2.bias": -5.5})
    assert names["losses"][-1] < 0.5 * names["losses"][0] and names["accuracy"] > 0.9


@pytest.mark.gpu
def test_12_2_the_script_of_s0_on_a_gpu() -> None:
    if not gy.cuda.is_available():
        pytest.skip("no GPU that CuPy can use")
    names = run_s0(use_gpu=True)
    assert next(names["net"].parameters()).is_cuda and names["accuracy"] > 0.9
