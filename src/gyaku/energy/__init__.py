"""Energy models."""

from gyaku.energy.dbm import DBM

__all__ = ["DBM"]
