"""The network of a configuration: which settings belong to which model, their defaults, and its description."""

from __future__ import annotations

import math
from typing import Any

from gyaku.base.errors import ArgumentError, DataError
from gyaku.models import KINDS, split_name, weight_shapes

# Setting -> the models that have it.
BELONGS: dict[str, tuple[str, ...]] = {
    "hidden": ("mlp", "lenet"),
    "activation": ("mlp",),
    "norm": ("mlp", "lenet", "unet"),
    "dropout": ("mlp", "lenet"),
    "init": ("mlp",),
    "width": ("resnet", "unet"),
    "depth": ("unet",),
    "block": ("resnet",),
    "skips": ("resnet", "unet"),
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "lenet": {"hidden": (128,), "norm": "batch", "dropout": 0.3},
    "resnet": {"width": 16, "block": "basic"},
    "unet": {"width": 16, "depth": 3, "norm": "batch", "skips": True, "lr": 0.01},
    "mymnistnet": {},
}
# How convolutions are trained: about 2500 steps; one cycle of the rate reaches in few epochs what others need many for.
TRAINED: dict[str, Any] = {
    "optimizer": "adamw", "lr": 0.004, "schedule": "onecycle", "weight_decay": 0.01, "label_smoothing": 0.05,
}  # fmt: skip
STEPS, FEWEST, MOST = 2500, 5, 100


def default_model(data: Any) -> str:
    """Return the model when none is named: ``unet`` for a segmentation, else ``mlp``."""
    return "unet" if data.kind == "segmentation" else "mlp"


def defaults_of(model: str) -> dict[str, Any]:
    """Return the settings of a model with convolutions (or of ``mymnistnet``) that have not been given."""
    kind, _, skips = split_name(model)
    found = dict(_DEFAULTS[kind])
    if kind == "resnet":
        found["skips"] = skips
    return found


def refuse_foreign_settings(config: Any, data: Any) -> None:
    """Raise ``ArgumentError`` for a model that does not go with the data, or a setting that the model has not."""
    model = str(config.model)
    kind, _, skips = split_name(model)
    if (kind == "unet") != (data.kind == "segmentation"):
        wanted = (
            "unet, which answers every pixel" if data.kind == "segmentation" else "a model with one answer a sample"
        )
        hint = "mlp, lenet or resnet8" if kind == "unet" else ""
        raise ArgumentError("model", wanted, model, hint=hint)
    if kind != "mlp" and data.image_shape is None:
        raise ArgumentError("model", "mlp for a table: convolutions want images", model)
    for name, kinds in BELONGS.items():
        if getattr(config, name) is not None and kind not in kinds:
            raise ArgumentError(name, f"a model that has it ({', '.join(kinds)})", model, hint="leave it out")
    if kind == "resnet" and config.skips is not None and config.skips != skips and not skips:
        raise ArgumentError(
            "skips", "plain networks without", f"{model} with skips", hint=model.replace("plain", "resnet")
        )
    if kind == "lenet" and config.hidden is not None and len(config.hidden) != 1:
        raise ArgumentError("hidden", "one number for lenet's affine layer", str(list(config.hidden)))
    if kind == "lenet" and config.norm == "layer":
        raise ArgumentError("norm", "none or batch behind convolutions", "layer")


def architecture_of(config: Any, data: Any) -> dict[str, Any]:
    """Return the description (``gyaku.models.build``) of a complete configuration's network for a ``Prepared``."""
    kind, depth, _ = split_name(str(config.model))
    inputs, outputs = list(data.input_shape), data.recipe.n_outputs
    own: dict[str, Any] = {
        "mlp": lambda: {
            "hidden": list(config.hidden), "activation": config.activation, "norm": config.norm,
            "dropout": config.dropout,
        },
        "lenet": lambda: {"dense": config.hidden[0], "norm": config.norm, "dropout": config.dropout},
        "resnet": lambda: {"depth": depth, "width": config.width, "block": config.block, "skips": config.skips},
        "unet": lambda: {
            "depth": config.depth, "width": config.width, "norm": config.norm, "skips": config.skips,
        },
        "mymnistnet": dict,
    }[kind]()  # fmt: skip
    return {"kind": kind, "inputs": inputs, "outputs": outputs, **own}


def make_network(config: Any, data: Any) -> Any:
    """Return the network of a complete configuration, with its initial weights."""
    d = architecture_of(config, data)
    kind = d.pop("kind")
    if kind == "mymnistnet":
        return KINDS[kind](seed=config.seed)
    return KINDS[kind](**d, seed=config.seed, **({"init": config.init} if kind == "mlp" else {}))


def weights(config: Any, data: Any) -> int:
    """Return the number of weights, without making them. Raises what the model refuses (``ArgumentError``)."""
    try:
        return sum(math.prod(shape) for shape in weight_shapes(architecture_of(config, data)).values())
    except DataError as error:
        raise error.__cause__ or error from None


def convolves(config: Any) -> bool:
    """Return whether the network has convolutions."""
    return split_name(str(config.model))[0] in ("lenet", "resnet", "unet")


def augmentation(config: Any, data: Any) -> Any:
    """Return the augmentation of a complete configuration, None for none."""
    from gyaku.data import augment

    if not config.augment:
        return None
    black = data.recipe.black
    made = [augment.shift(config.shift, fill=black)] if config.shift else []
    made += [augment.flip()] if config.flip else []
    made += [augment.rotate(config.rotate, fill=black)] if config.rotate else []
    made += [augment.zoom(config.zoom, fill=black)] if config.zoom else []
    made += [augment.cutout(config.cutout, fill=black)] if config.cutout else []
    return made[0] if len(made) == 1 else augment.compose(*made) if made else None
