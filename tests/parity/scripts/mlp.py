"""Train a small network with batch norm, a schedule and mini-batches; print what was learnt."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(2, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):
        return self.head(self.features(x))


def fixed(p, k):
    n = p.numel()
    return torch.cos(torch.arange(n, dtype=torch.float64) * 1.7 + k).reshape(p.shape) * 0.5


t = torch.linspace(0, 12.0, 90, dtype=torch.float64)
x = torch.stack([torch.sin(t * 2.1), torch.cos(t * 3.3)], dim=1)
y = ((x[:, 0] > 0).long() + (x[:, 1] > x[:, 0]).long()).clamp(max=2)

model = Net(8).double()
with torch.no_grad():
    for k, p in enumerate(model.parameters()):
        p.copy_(fixed(p, k))

optimizer = optim.Adam(model.parameters(), lr=0.02, weight_decay=1e-4)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
loader = DataLoader(TensorDataset(x, y), batch_size=20, shuffle=False, drop_last=False)

for epoch in range(12):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total += loss.item() * len(xb)
    scheduler.step()
    print(f"{epoch} {total / len(x):.8f} {optimizer.param_groups[0]['lr']:.6f}")

model.eval()
with torch.no_grad():
    scores = model(x)
    accuracy = (scores.argmax(1) == y).float().mean().item()
    print(f"{accuracy:.6f} {F.softmax(scores, dim=1)[0].tolist()[0]:.8f}")
print([name for name, _ in model.named_parameters()], sorted(model.state_dict()))
