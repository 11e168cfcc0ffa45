"""Planted faults and healthy runs kept out of tuning: whoever writes the doctor does not read this file."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import gyaku as gy
from benchmarks.doctor import patients
from benchmarks.doctor.patients import Fault, Patient, by_parameters, linear, loss_of, net, patient, scale, write
from benchmarks.doctor.sets import Set
from gyaku import nn
from gyaku.nn import functional as F

FAULTS: list[Fault] = []
fault = functools.partial(patients.fault, FAULTS)


@fault("chaotic deep tanh network", "exploding bad_init saturated", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [32] * 8, "tanh", gain=12.0))


@fault("negative weights behind positive outputs", "dead_relu", "digits spirals table", "4 5")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32, 32])
    write(model[4].weight, -np.abs(model[4].weight.detach().numpy()))
    write(model[4].bias, -0.1)
    return patient(s, model)


@fault("one layer ten times too large", "bad_init exploding_variance saturated", "digits table spirals", "2 3")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32, 32], "tanh")
    scale(model[2].weight, 15.0)
    return patient(s, model)


@fault("momentum with a learning rate of 3e-6", "lr_low", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [64]), optimizer="momentum", lr=3e-6, momentum=0.9)


@fault("one layer with a learning rate of 50", "update_ratio lr_high", "digits table spirals", "2")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32, 32])
    return patient(s, model, optimizer=by_parameters(1000.0, 2, model))


@fault("gradients cleared in the last layer only", "no_zero_grad", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    loss = loss_of(s)

    def step(model: Any, optimizer: Any, x: Any, t: Any) -> Any:
        model[-1].zero_grad()
        e = loss(model(x), t)
        e.backward()
        optimizer.step()
        return e

    return patient(s, net(s, seed), optimizer="sgd", lr=0.05, step=step)


@fault("eval mode in training, with batch norm", "eval_in_training", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    loss = loss_of(s)

    def step(model: Any, optimizer: Any, x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        e = loss(model.eval()(x), t)
        e.backward()
        optimizer.step()
        return e

    return patient(s, net(s, seed, norm=True), step=step)


@fault("evaluation in train mode", "train_in_evaluation", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    def validate(model: Any, x: Any, t: Any) -> Any:
        model.train()
        with gy.no_grad():
            return loss_of(s)(model(x), t).item()

    return patient(s, net(s, seed, dropout=0.3), validate=validate)


@fault("log-likelihood of raw scores", "wrong_pair", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), loss=F.nll_loss)


@fault("an output layer that ends in ReLU", "wrong_pair", "digits curve table")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, last=nn.ReLU()))


@fault("classes numbered from 1, one output too many", "label_offset", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    data, dev = ((x, t + 1) for x, t in (s.train, s.dev))
    return patient(s, net(s, seed, outputs=s.outputs + 1), data=data, dev=dev)


@fault("inputs far from zero", "not_normalised", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    data, dev = ((x + 60, t) for x, t in (s.train, s.dev))
    return patient(s, net(s, seed), data=data, dev=dev)


@fault("sorted by the target and not shuffled", "not_shuffled", "curve moons digits")
def _(s: Set, seed: int) -> Patient:
    order = np.argsort(s.train[1].reshape(-1), kind="stable")[::-1]
    data = (s.train[0][order].copy(), s.train[1][order].copy())
    return patient(s, net(s, seed, [32], "tanh"), data=data, shuffle=False, batch_size=40)


@fault("the test part was drawn from the training part", "leak", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    rows = np.random.default_rng(seed).integers(0, len(s.train[0]), 150)
    return patient(s, net(s, seed), test=(s.train[0][rows], s.train[1][rows]))


@fault("two labels exchanged for a third of the samples", "label_noise", "digits moons spirals")
def _(s: Set, seed: int) -> Patient:
    rng = np.random.default_rng(seed)
    x, t = s.train
    wrong = rng.random(len(t)) < 0.33
    return patient(s, net(s, seed), data=(x, np.where(wrong, (t + 1) % s.outputs, t)))


@fault("batch norm with batches of 3", "tiny_batch_norm", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [48], "tanh", norm=True), batch_size=3)


@fault("an L2 penalty of 0.2", "l2_strong", "digits spirals table")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [48], "tanh"), l2=0.2)


class Ratio(nn.Module):
    """Divides by the deviation of each column over the batch, without an epsilon, behind units that may be silent."""

    def forward(self, x: Any) -> Any:
        x = F.relu(x - 3.0)
        return x / gy.sqrt((x * x).mean(0))


class Root(nn.Module):
    """sqrt x."""

    def forward(self, x: Any) -> Any:
        return gy.sqrt(x)


@fault("division of zero by zero", "not_finite", "digits table moons", "1")
def _(s: Set, seed: int) -> Patient:
    gy.manual_seed(seed)
    layers = [linear(s.inputs, 64, 0.5), Ratio(), linear(64, s.outputs, 1.0)]
    return patient(s, nn.Sequential(*layers))


@fault("slope of a root at zero", "not_finite", "digits table curve", "2")
def _(s: Set, seed: int) -> Patient:
    gy.manual_seed(seed)
    layers = [linear(s.inputs, 32, 2.0), nn.ReLU(), Root(), linear(32, s.outputs, 1.0)]
    return patient(s, nn.Sequential(*layers))


@fault("fifty samples learnt by heart", "overfitting", "digits table")
def _(s: Set, seed: int) -> Patient:
    rng = np.random.default_rng(seed)
    x, t = s.train[0][:50], s.train[1][:50]
    if s.name == "digits":  # harder to generalise from: noise upon the pictures
        x = (x + 1.5 * rng.normal(size=x.shape)).astype(np.float32)
    return patient(s, net(s, seed, [200]), data=(x, t), steps=600, batch_size=25)


@fault("dropout of 0.9 in every layer", "dropout_strong", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [32, 32, 32], "tanh", dropout=0.9))


@fault("one sample in eighty of a class", "imbalance", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    x, t = s.train
    rows = np.concatenate([np.flatnonzero(t != 2), np.flatnonzero(t == 2)[: max(2, len(t) // 400)]])
    return patient(s, net(s, seed, [48], "tanh"), data=(x[rows], t[rows]))


def healthy_runs(examine_them: Any) -> Any:
    """Examine healthy runs of other kinds than those that were shown."""
    return examine_them(
        77, ["relu", "leaky", "elu", "gelu", "silu", "tanh"], ["adamw", "rmsprop", "nesterov", "adam", "sgd"], True
    )
