"""``MyMnistNet``: the class of S0's slide on the GPU, ``model = MyMnistNet().to(device)``, a plain ``nn.Module``."""

from __future__ import annotations

from typing import Any

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.models.description import Described, read_description, start_he

_WEIGHTS = {"fc1.weight": (256, 784), "fc2.weight": (128, 256), "output.weight": (10, 128)}
_FIELDS = {"inputs": list, "outputs": int}
_SIZES = {"inputs": [1, 28, 28], "outputs": 10}


class MyMnistNet(Described):
    """Affine 784-256-128-10 with ReLU: what is moved to the GPU along with x and y (``lectures.md`` 12.2).

    S0 shows the name and the three moves, not the layers; these are ours. ``fc1``, ``act1``, ``fc2``, ``act2``,
    ``output``; inputs (N, 1, 28, 28) or (N, 784), outputs (N, 10) logits. It takes no arguments, as in S0; ``seed`` is
    that of the initial weights (He's).

    >>> import gyaku as torch
    >>> device = torch.device("cpu")  # or "cuda"
    >>> x = torch.zeros(5, 1, 28, 28).to(device)
    >>> MyMnistNet().to(device)(x).shape
    (5, 10)
    """

    kind = "mymnistnet"

    def __init__(self, *, seed: int | Generator = 0) -> None:
        super().__init__()
        self._description = dict(_SIZES)
        self.fc1, self.act1 = nn.Linear(28 * 28, 256), nn.ReLU()
        self.fc2, self.act2 = nn.Linear(256, 128), nn.ReLU()
        self.output = nn.Linear(128, 10)
        start_he(self, seed)

    def forward(self, x: Any) -> Any:
        """Return the logits (N, 10) of digits (N, 1, 28, 28)."""
        x = self.act1(self.fc1(x.flatten(1)))
        return self.output(self.act2(self.fc2(x)))

    @staticmethod
    def from_architecture(data: Any) -> MyMnistNet:
        """Build the network, with fresh weights. Raises ``DataError`` for any other description."""
        read_description(data, MyMnistNet.kind, _FIELDS, _checked)
        return MyMnistNet()

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights."""
        read_description(data, MyMnistNet.kind, _FIELDS, _checked)
        return dict(_WEIGHTS)


def _checked(d: dict[str, Any]) -> dict[str, Any]:
    from gyaku.base.errors import ArgumentError

    if d != _SIZES:
        got = f"{tuple(d['inputs'])} and {d['outputs']}"
        raise ArgumentError("MyMnistNet", "images (1, 28, 28) and 10 classes", got[:60], hint="--model lenet")
    return d
