"""PyTorch's forms: eager and compiled, channels first and channels last, each with the fused Adam."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.convolution.workloads import CHANNELS, LR, Workload, batches, weights

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
Form = Callable[[np.random.Generator], np.ndarray]


def forget() -> None:
    """Forget what was compiled for the workload before."""
    torch._dynamo.reset()


class LeNet(nn.Module):
    """As ``gyaku.models.LeNet``."""

    def __init__(self, w: Workload) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.affine, self.output = nn.Linear(32 * (w.size // 4) ** 2, 128), nn.Linear(128, w.classes)

    def forward(self, x: Any) -> Any:
        """Return the logits."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.output(F.relu(self.affine(x.flatten(1))))


class Block(nn.Module):
    """As the basic block of ``gyaku.models.ResNet``: where it halves the picture, the skip has no parameters."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.stride, self.more = stride, after - before

    def forward(self, x: Any) -> Any:
        """Return the block's output."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(y + x)


class ResNet(nn.Module):
    """As ``gyaku.models.ResNet`` of depth 8."""

    def __init__(self, w: Workload) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        pairs = zip((16, *CHANNELS), CHANNELS, (1, 2, 2), strict=False)
        for k, (before, after, stride) in enumerate(pairs, start=1):
            self.add_module(f"stage{k}", nn.Sequential(Block(before, after, stride)))
        self.output = nn.Linear(CHANNELS[-1], w.classes)

    def forward(self, x: Any) -> Any:
        """Return the logits."""
        x = F.relu(self.norm(self.conv(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.output(x.mean((2, 3)))


class Double(nn.Module):
    """Two convolutions with batch norm and ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)

    def forward(self, x: Any) -> Any:
        """Return the second's output."""
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class UNet(nn.Module):
    """As ``gyaku.models.UNet`` of depth 3."""

    def __init__(self, w: Workload) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = Double(1, 16), Double(16, 32), Double(32, 64)
        self.bottom = Double(64, 128)
        self.up1, self.up2, self.up3 = (nn.ConvTranspose2d(2 * c, c, 2, 2) for c in CHANNELS)
        self.back1, self.back2, self.back3 = (Double(2 * c, c) for c in CHANNELS)
        self.output = nn.Conv2d(16, w.classes, 1)

    def forward(self, x: Any) -> Any:
        """Return the logits of every pixel."""
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.down3(F.max_pool2d(b, 2))
        y = self.bottom(F.max_pool2d(c, 2))
        y = self.back3(torch.cat([c, self.up3(y)], 1))
        y = self.back2(torch.cat([b, self.up2(y)], 1))
        return self.output(self.back1(torch.cat([a, self.up1(y)], 1)))


def network(w: Workload) -> nn.Module:
    """Return the workload's network with its initial values."""
    model = {"lenet": LeNet, "resnet8": ResNet, "unet": UNet}[w.key](w)
    given = weights(w)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.from_numpy(given.pop(name)))
    if given:
        raise KeyError(f"{sorted(given)}")
    return model


def form(w: Workload, *, last: bool = False, compiled: bool = False) -> Form:
    """Return the training loop; ``last``: channels last; ``compiled``: network and loss, and with them the gradient."""
    order = torch.channels_last if last else torch.contiguous_format
    model = network(w).to(memory_format=order)
    rule = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    ready = [(torch.from_numpy(x).to(memory_format=order), torch.from_numpy(t)) for x, t in batches(w)]

    def forward(x: Any, t: Any) -> Any:
        return F.cross_entropy(model(x), t)

    forward = torch.compile(forward, dynamic=False) if compiled else forward

    def step(x: Any, t: Any) -> Any:
        rule.zero_grad()
        loss = forward(x, t)
        loss.backward()
        rule.step()
        return loss.detach()

    return lambda rng: torch.stack([step(x, t) for x, t in ready]).numpy()


def _with_compiler(make: Callable[[], Form]) -> Callable[[], Form]:
    def checked() -> Form:
        if shutil.which("g++") is None:
            raise FileNotFoundError("torch.compile wants g++, which is not installed here")
        return make()

    return checked


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return every form by name, each to be made when it is asked for."""
    return {
        "eager": lambda: form(w),
        "eager, channels last": lambda: form(w, last=True),
        "compile": _with_compiler(lambda: form(w, compiled=True)),
        "compile, channels last": _with_compiler(lambda: form(w, last=True, compiled=True)),
    }
