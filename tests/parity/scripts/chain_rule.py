"""The first example of the lectures: E = (a w + b - t)² and its derivatives by backward."""

import torch

a = torch.tensor(2.0, requires_grad=True)
w = torch.tensor(3.0, requires_grad=True)
b = torch.tensor(1.0, requires_grad=True)
t = torch.tensor(5.0)
y = a * w + b
y.retain_grad()
E = (y - t) ** 2
E.backward()
print(E.item(), y.grad.item(), a.grad.item(), w.grad.item(), b.grad.item())

x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
z = torch.exp(x) / torch.exp(x).sum()
(g,) = torch.autograd.grad(z[0], x, create_graph=True)
(h,) = torch.autograd.grad(g.sum() + (g * g).sum(), x)
print([f"{v:.6f}" for v in g.tolist()], [f"{v:.6f}" for v in h.tolist()])

x = torch.arange(6, dtype=torch.float32).reshape(2, 3).requires_grad_()
x.T[1:, 0].sum().backward()
print(x.grad.tolist(), x.is_leaf, (x * 2).is_leaf, (x * 2).requires_grad)
with torch.no_grad():
    x -= 0.1 * x.grad
    x.grad.zero_()
print([[f"{v:.3f}" for v in row] for row in x.tolist()])
for _ in range(2):
    (x**2).sum().backward()
print(x.grad.tolist()[0][0], x[x > 1.5].tolist()[:2], torch.where(x > 2, x, 0.0).sum().item())
print(x.detach().max(dim=1)[1].tolist(), x.shape, x.size(0), x.dtype == torch.float32)
