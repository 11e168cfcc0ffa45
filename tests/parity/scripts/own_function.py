"""A derivative of one's own: autograd.Function, checked by gradcheck, used inside a module."""

import torch
from torch import nn


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x**3

    @staticmethod
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return 3 * ctx.scale * x**2 * gy, None


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gy):
        return gy


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 1
        return Cube.apply(x * self.w, 0.5)


x = torch.tensor([0.3, 1.2, -0.7], dtype=torch.float64, requires_grad=True)
print(torch.autograd.gradcheck(lambda v: Cube.apply(v, 2.0), (x,)))
layer = Layer()
y = layer(x) + Rounded.apply(x * 4) / 4
y.sum().backward()
print([f"{v:.6f}" for v in y.tolist()], [f"{v:.6f}" for v in x.grad.tolist()])
print([f"{v:.6f}" for v in layer.w.grad.tolist()], int(layer.seen.item()), sorted(layer.state_dict()))
(g,) = torch.autograd.grad(Cube.apply(x, 2.0).sum(), x, create_graph=True)
(h,) = torch.autograd.grad(g.sum(), x)
print([f"{v:.6f}" for v in h.tolist()])
