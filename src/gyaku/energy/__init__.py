"""Energy models: restricted and deep Boltzmann machines, on arrays."""

from gyaku.energy.dbm import DBM
from gyaku.energy.rbm import RBM

__all__ = ["DBM", "RBM"]
