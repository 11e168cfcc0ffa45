"""Training loops written by hand: forty right ones, and wrong ones with what the lint must say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn, optim
from gyaku.nn import functional as F
from gyaku.utils.data import DataLoader, TensorDataset

Loop = Callable[..., None]
RIGHT: dict[str, Loop] = {}
WRONG: dict[str, tuple[str, Loop]] = {}

X = gy.tensor(np.random.default_rng(0).normal(size=(48, 6)).astype(np.float32))
T = gy.tensor((np.arange(48) * 7) % 3)
V = gy.tensor(np.random.default_rng(1).normal(size=(48, 1)).astype(np.float32))
B = (T._array > 1).astype(np.float32)[:, None]


def right(loop: Loop) -> Loop:
    """Enter a right loop: ``loop(watch)`` builds everything and trains inside ``watch(model, *optimizers)``."""
    RIGHT[loop.__name__] = loop
    return loop


def wrong(key: str) -> Callable[[Loop], Loop]:
    """Enter a wrong loop with the key of the remark it deserves."""

    def enter(loop: Loop) -> Loop:
        WRONG[loop.__name__] = (key, loop)
        return loop

    return enter


def net(*extra: Any, outputs: int = 3) -> Any:
    gy.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), *extra, nn.Linear(8, outputs))


def sgd(model: Any, lr: float = 0.1) -> Any:
    return optim.SGD(model.parameters(), lr=lr)


def batches() -> Any:
    return [(X[i : i + 16], T[i : i + 16]) for i in (0, 16, 32)]


@right
def zero_grad_first(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def zero_grad_after_the_step(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
            optimizer.zero_grad()


@right
def zero_grad_between_forward_and_backward(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            loss = F.cross_entropy(model(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@right
def zero_grad_of_the_model(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            model.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def zeros_instead_of_none(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad(set_to_none=False)
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def gradients_set_to_none_by_hand(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            for p in model.parameters():
                p.grad = None
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def accumulated_over_three_batches(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            for x, t in batches():
                (F.cross_entropy(model(x), t) / 3).backward()
            optimizer.step()


@right
def two_losses_one_backward_each(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            y = model(x)
            F.cross_entropy(y, t).backward(retain_graph=True)
            (0.01 * y.square().mean()).backward()
            optimizer.step()


@right
def sum_of_two_losses(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t) + F.cross_entropy(model(x + 0.1), t)
            loss.backward()
            optimizer.step()


@right
def a_penalty_on_the_weights(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t)
            for p in model.parameters():
                loss = loss + 1e-4 * p.square().sum()
            loss.backward()
            optimizer.step()


@right
def the_loss_added_up_as_a_number(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    total = 0.0
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t)
            loss.backward()
            optimizer.step()
            total += loss.item()


@right
def the_loss_added_up_detached(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    total = gy.zeros(())
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t)
            loss.backward()
            optimizer.step()
            total = total + loss.detach()


@right
def accuracy_in_training(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            y = model(x)
            F.cross_entropy(y, t).backward()
            optimizer.step()
            (y.argmax(1) == t).float().mean().item()


@right
def validation_every_epoch(watch: Any) -> None:
    model = net(nn.Dropout(0.5))
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(2):
            model.train()
            for x, t in batches():
                optimizer.zero_grad()
                F.cross_entropy(model(x), t).backward()
                optimizer.step()
            model.eval()
            with gy.no_grad():
                for x, t in batches():
                    F.cross_entropy(model(x), t).item()


@right
def validation_in_inference_mode(watch: Any) -> None:
    model = net(nn.BatchNorm1d(8))
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(2):
            model.train()
            for x, t in batches():
                optimizer.zero_grad()
                F.cross_entropy(model(x), t).backward()
                optimizer.step()
            model.eval()
            with gy.inference_mode():
                model(X)


@right
def validation_without_noisy_layers(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(2):
            for x, t in batches():
                optimizer.zero_grad()
                F.cross_entropy(model(x), t).backward()
                optimizer.step()
            with gy.no_grad():
                model(X)


@right
def a_look_after_training(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
        model(X).argmax(1)
        model(X).argmax(1)


@right
def a_first_look_at_the_loss(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        F.cross_entropy(model(X), T).item()
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def clipped_gradients(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()


@right
def a_closure(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), T)
        loss.backward()
        return loss

    with watch(model, optimizer):
        for _ in range(3):
            optimizer.step(closure)


@right
def a_schedule(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    schedule = optim.lr_scheduler.StepLR(optimizer, 1)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
            schedule.step()


@right
def a_frozen_first_layer(watch: Any) -> None:
    model = net()
    model[0].requires_grad_(False)
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad])
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def fine_tuned_in_eval_mode(watch: Any) -> None:
    model = net(nn.BatchNorm1d(8))
    optimizer = sgd(model)
    model.eval()
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def two_optimizers_one_backward(watch: Any) -> None:
    model = net()
    first, second = optim.SGD(model[0].parameters(), lr=0.1), optim.Adam(model[2].parameters())
    with watch(model, first, second):
        for x, t in batches():
            first.zero_grad()
            second.zero_grad()
            F.cross_entropy(model(x), t).backward()
            first.step()
            second.step()


@right
def generator_against_critic(watch: Any) -> None:
    pair = nn.ModuleDict({"g": nn.Linear(2, 6), "d": nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))})
    g, d = pair["g"], pair["d"]
    of_g, of_d = optim.Adam(g.parameters()), optim.Adam(d.parameters())
    ones, zeros = gy.ones(16, 1), gy.zeros(16, 1)
    with watch(pair, of_g, of_d):
        for x, _ in batches():
            fake = g(gy.randn(16, 2))
            of_d.zero_grad()
            real = F.binary_cross_entropy_with_logits(d(x), ones)
            (real + F.binary_cross_entropy_with_logits(d(fake.detach()), zeros)).backward()
            of_d.step()
            of_g.zero_grad()
            F.binary_cross_entropy_with_logits(d(fake), ones).backward()
            of_g.step()


@right
def a_regression(watch: Any) -> None:
    model = net(outputs=1)
    optimizer = optim.Adam(model.parameters())
    with watch(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(model(X), V).backward()
            optimizer.step()


@right
def two_classes_with_logits(watch: Any) -> None:
    model = net(outputs=1)
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(X), gy.tensor(B)).backward()
            optimizer.step()


@right
def two_classes_with_a_sigmoid(watch: Any) -> None:
    model = nn.Sequential(net(outputs=1), nn.Sigmoid())
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            nn.BCELoss()(model(X), gy.tensor(B)).backward()
            optimizer.step()


@right
def log_softmax_and_nll(watch: Any) -> None:
    model = nn.Sequential(net(), nn.LogSoftmax(1))
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            nn.NLLLoss()(model(x), t).backward()
            optimizer.step()


@right
def soft_targets_of_a_teacher(watch: Any) -> None:
    model, teacher = net(), net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, _ in batches():
            with gy.no_grad():
                soft = F.softmax(teacher(x), 1)
            optimizer.zero_grad()
            F.cross_entropy(model(x), soft).backward()
            optimizer.step()


@right
def probabilities_shown_beside_the_loss(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            y = model(x)
            F.cross_entropy(y, t).backward()
            optimizer.step()
            F.softmax(y.detach(), 1).max().item()


@right
def attention_with_a_softmax_inside(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            y = model(x)
            mixed = F.softmax(y @ y.T, 1) @ y
            F.cross_entropy(mixed, t).backward()
            optimizer.step()


@right
def a_data_loader(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in DataLoader(TensorDataset(X, T), batch_size=16, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def truncated_through_time(watch: Any) -> None:
    model = nn.Linear(12, 6)
    optimizer = sgd(model)
    state = gy.zeros(16, 6)
    with watch(model, optimizer):
        for x, _ in batches():
            optimizer.zero_grad()
            state = model(gy.cat([x, state], 1)).tanh()
            state.square().mean().backward()
            optimizer.step()
            state = state.detach()


@right
def an_average_of_the_weights(watch: Any) -> None:
    model, mean = net(), net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
            with gy.no_grad():
                for p, q in zip(model.parameters(), mean.parameters()):
                    q.mul_(0.9).add_(0.1 * p)


@right
def gradients_with_respect_to_the_input(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            x = x.detach().requires_grad_()
            (slope,) = gy.autograd.grad(F.cross_entropy(model(x), t), [x])
            optimizer.zero_grad()
            F.cross_entropy(model(x.detach() + 0.01 * slope.sign()), t).backward()
            optimizer.step()


@right
def a_step_left_out(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for k, (x, t) in enumerate(batches()):
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            if k != 1:
                optimizer.step()


@right
def a_network_of_functions(watch: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.b(F.dropout(F.relu(self.a(x)), 0.2, self.training))

    model = Net()
    optimizer = optim.AdamW(model.parameters())
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def groups_of_parameters(watch: Any) -> None:
    model = net()
    optimizer = optim.SGD([{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters()}], lr=0.1)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()


@right
def many_samples_of_dropout(watch: Any) -> None:
    model = net(nn.Dropout(0.3))
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
        model.eval()
        for m in model:
            m.train(isinstance(m, nn.Dropout))
        with gy.no_grad():
            gy.stack([model(X) for _ in range(3)]).mean(0)


@right
def a_sum_over_unrolled_steps(watch: Any) -> None:
    model = nn.Linear(6, 6)
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, _ in batches():
            optimizer.zero_grad()
            total = gy.zeros(())
            for _ in range(4):
                x = model(x)
                total = total + x.square().mean()
            total.backward()
            optimizer.step()


# -- wrong ones -------------------------------------------------------------------------------------------------------


@wrong("carried")
def zero_grad_forgotten(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            F.cross_entropy(model(x), t).backward()  # here
            optimizer.step()


@wrong("no_backward")
def step_before_backward(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t)
            optimizer.step()  # here
            loss.backward()


@wrong("dropped")
def zero_grad_before_the_step(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            F.cross_entropy(model(x), t).backward()
            optimizer.zero_grad()  # here
            optimizer.step()


@wrong("no_gradient")
def a_detached_output(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x).detach().requires_grad_(), t).backward()
            optimizer.step()  # here


@wrong("not_scalar")
def a_loss_for_each_sample(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t, reduction="none")
            loss.backward(gy.ones(16))  # here
            optimizer.step()


@wrong("history")
def a_total_with_its_history(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    total = gy.zeros(())
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t)
            loss.backward()
            optimizer.step()
            total = total + loss  # here


@wrong("recorded")
def validation_with_recording(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(3):
            for x, t in batches():
                optimizer.zero_grad()
                F.cross_entropy(model(x), t).backward()
                optimizer.step()
            model.eval()
            (model(X).argmax(1) == T).float().mean()  # here
            model.train()


@wrong("awake")
def validation_in_train_mode(watch: Any) -> None:
    model = net(nn.Dropout(0.5))
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
        with gy.no_grad():
            model(X)  # here


@wrong("no_optimizer")
def half_of_the_parameters(watch: Any) -> None:
    model = net()
    optimizer = optim.SGD(model[2].parameters(), lr=0.1)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()  # here


@wrong("squashed")
def softmax_before_cross_entropy(watch: Any) -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer):
        for x, t in batches():
            optimizer.zero_grad()
            F.cross_entropy(F.softmax(model(x), 1), t).backward()  # here
            optimizer.step()


@wrong("squashed")
def sigmoid_before_logits(watch: Any) -> None:
    model = nn.Sequential(net(outputs=1), nn.Sigmoid())
    optimizer = sgd(model)
    with watch(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(X), gy.tensor(B)).backward()  # here
            optimizer.step()
