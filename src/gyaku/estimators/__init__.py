"""Estimators with scikit-learn's interface: they go into its pipelines and searches. Needs ``gyaku[sklearn]``."""

from __future__ import annotations

from typing import Any

from gyaku.base.errors import UnknownNameError, require

__all__ = ["BernoulliRBM"]


def __getattr__(name: str) -> Any:
    """Import an estimator, and scikit-learn with it, when it is first asked for."""
    if name.startswith("__"):  # Python itself asks for these
        raise AttributeError(name)
    if name not in __all__:
        raise UnknownNameError("estimators", name, __all__)
    require("sklearn", where=f"estimators.{name}", extra="sklearn")
    from gyaku.estimators.rbm import BernoulliRBM

    return BernoulliRBM
