"""Energy models: restricted and deep Boltzmann machines and deep belief networks, on arrays."""

from gyaku.energy.dbm import DBM
from gyaku.energy.dbn import DBN
from gyaku.energy.rbm import RBM

__all__ = ["DBM", "DBN", "RBM"]
