"""Planted faults that whoever writes the doctor may look at. Further faults are kept apart."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import gyaku as gy
from benchmarks.doctor import patients
from benchmarks.doctor.patients import (
    Fault,
    Patient,
    Residual,
    by_parameters,
    linear,
    loss_of,
    net,
    patient,
    scale,
    write,
)
from benchmarks.doctor.sets import Set
from gyaku import nn
from gyaku.nn import functional as F

FAULTS: list[Fault] = []
fault = functools.partial(patients.fault, FAULTS)

# --- what is seen inside ----------------------------------------------------------------------------------------------


@fault("deep sigmoid network", "vanishing", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [24] * 7, "sigmoid"))


@fault("deep tanh network with shrinking weights", "vanishing bad_init", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [32] * 9, "tanh", gain=0.15))


@fault("residual blocks without a norm", "exploding exploding_variance", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    gy.manual_seed(seed)
    blocks = [Residual(24, 3.0) for _ in range(12)]
    return patient(
        s, nn.Sequential(linear(s.inputs, 24, 2.0), *blocks, linear(24, s.outputs, 1.0)), optimizer="sgd", lr=0.01
    )


@fault("weights three times too large by depth", "exploding_variance exploding bad_init", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [32] * 7, "relu", gain=18.0))


@fault("units of one layer below zero", "dead_relu", "digits table curve", "2 3")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32, 32])
    write(model[2].bias, -30.0)
    return patient(s, model)


@fault("most units of the first layer dead", "dead_relu", "digits table spirals", "0 1")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [40, 32])
    write(model[0].bias, np.where(np.arange(40) < 34, -40.0, 0.0))
    return patient(s, model)


@fault("one sigmoid layer saturated", "saturated bad_init", "digits table moons", "2 3")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32], "sigmoid")
    scale(model[2].weight, 40.0)
    return patient(s, model)


@fault("tanh saturated by its biases", "saturated bad_init", "digits table curve", "0 1")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32], "tanh")
    write(model[0].bias, np.where(np.arange(32) % 2, 9.0, -9.0))
    return patient(s, model)


# --- initial values ---------------------------------------------------------------------------------------------------


@fault("all weights zero", "bad_init", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed)
    for p in model.parameters():
        write(p, 0.0)
    return patient(s, model)


@fault("weights of deviation 1", "bad_init", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [64, 64, 64])
    for p in model.parameters():
        if p.ndim == 2:
            nn.init.normal_(p, std=1.0)
    return patient(s, model)


@fault("weights of deviation 0.001", "bad_init", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32, 32])
    for p in model.parameters():
        if p.ndim == 2:
            nn.init.normal_(p, std=0.001)
    return patient(s, model, optimizer="sgd")


# --- settings ---------------------------------------------------------------------------------------------------------


@fault("SGD with a learning rate of 8", "lr_high", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [32, 32], "tanh"), optimizer="sgd", lr=8.0)


@fault("Adam with a learning rate of 0.5", "lr_high", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), lr=0.5)


@fault("SGD with a learning rate of 1e-5", "lr_low", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), optimizer="sgd", lr=1e-5)


@fault("Adam with a learning rate of 1e-6", "lr_low", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), lr=1e-6)


@fault("dropout of 0.95", "dropout_strong", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [48, 48], dropout=0.95))


# --- the loop ---------------------------------------------------------------------------------------------------------


@fault("zero_grad forgotten", "no_zero_grad", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    loss = loss_of(s)

    def step(model: Any, optimizer: Any, x: Any, t: Any) -> Any:
        e = loss(model(x), t)
        e.backward()
        optimizer.step()
        return e

    return patient(s, net(s, seed), optimizer="sgd", lr=0.05, step=step)


@fault("eval mode in the training step, with dropout", "eval_in_training", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    loss = loss_of(s)

    def step(model: Any, optimizer: Any, x: Any, t: Any) -> Any:
        model.eval()
        optimizer.zero_grad()
        e = loss(model(x), t)
        e.backward()
        optimizer.step()
        return e

    return patient(s, net(s, seed, dropout=0.2), step=step)


@fault("sorted by class and not shuffled", "not_shuffled", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    order = np.argsort(s.train[1], kind="stable")
    return patient(s, net(s, seed), data=(s.train[0][order], s.train[1][order]), shuffle=False)


# --- output and loss --------------------------------------------------------------------------------------------------


@fault("softmax before cross-entropy", "wrong_pair", "digits table spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, last=nn.Softmax(1)))


@fault("softmax before cross-entropy, in a loss of one's own", "wrong_pair", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), loss=lambda y, t: F.cross_entropy(F.softmax(y, 1), t))


@fault("outputs (N, 1) and targets (N,)", "target_shape", "curve")
def _(s: Set, seed: int) -> Patient:
    data, dev = ((x, t[:, 0]) for x, t in (s.train, s.dev))
    return patient(s, net(s, seed), data=data, dev=dev, loss=lambda y, t: ((y - t) ** 2).mean())


@fault("classes numbered from 1", "label_offset", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    data, dev = ((x, t + 1) for x, t in (s.train, s.dev))
    return patient(s, net(s, seed), data=data, dev=dev)


# --- the data ---------------------------------------------------------------------------------------------------------


@fault("inputs from 0 to 255", "not_normalised", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    data, dev = (((x - x.min()) / (x.max() - x.min()) * 255, t) for x, t in (s.train, s.dev))
    return patient(s, net(s, seed), data=data, dev=dev)


@fault("a third of the dev part stands in the training part", "leak", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    n = len(s.dev[0]) // 3
    data = tuple(np.concatenate([a, b[:n]]) for a, b in zip(s.train, s.dev))
    return patient(s, net(s, seed), data=data)


@fault("half of the labels drawn at random", "label_noise", "digits moons spirals")
def _(s: Set, seed: int) -> Patient:
    rng = np.random.default_rng(seed)
    x, t = s.train
    wrong = rng.random(len(t)) < 0.5
    return patient(s, net(s, seed), data=(x, np.where(wrong, rng.integers(0, s.outputs, len(t)), t)))


@fault("one sample in fifty of the second class", "imbalance", "moons table spirals")
def _(s: Set, seed: int) -> Patient:
    x, t = s.train
    rare = np.flatnonzero(t == 1)
    rows = np.concatenate([np.flatnonzero(t != 1), rare[: len(t) // 50]])
    return patient(s, net(s, seed), data=(x[rows], t[rows]))


# --- how it ends ------------------------------------------------------------------------------------------------------


@fault("forty noisy samples, a wide network, many steps", "overfitting", "table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [128, 128]), data=(s.train[0][:40], s.train[1][:40]), steps=500, batch_size=20)


@fault("a straight line for a spiral", "underfitting", "spirals")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, []))


@fault("one hidden unit", "underfitting", "digits spirals table")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [1], "tanh"))


# --- not finite -------------------------------------------------------------------------------------------------------


class Logarithm(nn.Module):
    """log x, where x may be negative."""

    def forward(self, x: Any) -> Any:
        return gy.log(x)


@fault("logarithm of negative numbers", "not_finite", "digits table curve", "2")
def _(s: Set, seed: int) -> Patient:
    gy.manual_seed(seed)
    layers = [linear(s.inputs, 24, 2.0), nn.Tanh(), Logarithm(), linear(24, s.outputs, 1.0)]
    return patient(s, nn.Sequential(*layers))


# --- more -------------------------------------------------------------------------------------------------------------


@fault("all weights equal", "bad_init", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, activation="tanh")
    for p in model.parameters():
        if p.ndim == 2:
            write(p, 0.05)
    return patient(s, model)


@fault("momentum with a learning rate of 1", "lr_high", "digits table moons")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), optimizer="momentum", lr=1.0, momentum=0.9)


@fault("one layer hardly moves", "update_ratio", "digits table curve", "2")
def _(s: Set, seed: int) -> Patient:
    model = net(s, seed, [32, 32, 32])
    return patient(s, model, optimizer=by_parameters(1e-5, 2, model))


@fault("sigmoid before the loss on logits", "wrong_pair", "moons")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, outputs=1, last=nn.Sigmoid()))


@fault("targets (N, 1) and outputs (N,)", "target_shape", "curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), loss=lambda y, t: ((y.reshape(-1) - t) ** 2).mean())


@fault("one column in other units", "not_normalised", "table curve moons")
def _(s: Set, seed: int) -> Patient:
    data, dev = ((x * np.where(np.arange(s.inputs) == 1, 2000, 1).astype(np.float32), t) for x, t in (s.train, s.dev))
    return patient(s, net(s, seed), data=data, dev=dev)


@fault("every sample ten times", "duplicates", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    rows = np.tile(np.arange(90), 10)
    return patient(s, net(s, seed), data=(s.train[0][rows], s.train[1][rows]))


@fault("batch norm with batches of 2", "tiny_batch_norm", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed, [32, 32], norm=True), batch_size=2)


@fault("weight decay of 0.3", "l2_strong", "digits table curve")
def _(s: Set, seed: int) -> Patient:
    return patient(s, net(s, seed), optimizer="sgd", lr=0.05, weight_decay=0.3)
