"""Energy models: Boltzmann machines, general, restricted and deep, and deep belief networks, on arrays."""

from gyaku.energy.boltzmann import BoltzmannMachine
from gyaku.energy.class_rbm import ClassRBM
from gyaku.energy.dbm import DBM
from gyaku.energy.dbn import DBN
from gyaku.energy.files import load_machine, save_machine
from gyaku.energy.rbm import RBM

__all__ = ["DBM", "DBN", "RBM", "BoltzmannMachine", "ClassRBM", "load_machine", "save_machine"]
