"""Training: the loop with its events, the run folder, models in files, ensembles and pseudo-labels.

>>> from gyaku import train
>>> train.Config(data="digits").seed
0
"""

from __future__ import annotations

from gyaku.train.autoencoder import Reconstruction, encode, fit_autoencoder, fit_layers, reconstruct
from gyaku.train.config import Config, read_config
from gyaku.train.events import EVENTS, Callback
from gyaku.train.history import History
from gyaku.train.machine import describe_machine
from gyaku.train.many import fit_many, train_many
from gyaku.train.modelfile import Trained, load_model, save_model
from gyaku.train.more import Ensemble, pseudo_labels
from gyaku.train.objective import Objective, task_of
from gyaku.train.pretrain import PretrainDone, pretrain_run
from gyaku.train.pretrain_config import PretrainConfig
from gyaku.train.pretrained import Pretrained, load_pretrained, save_pretrained
from gyaku.train.probe import Probe
from gyaku.train.progress import Progress
from gyaku.train.run import Done, train_run
from gyaku.train.training import fit, predict

__all__ = [
    "EVENTS",
    "Callback",
    "Config",
    "Done",
    "Ensemble",
    "History",
    "Objective",
    "PretrainConfig",
    "PretrainDone",
    "Pretrained",
    "Probe",
    "Progress",
    "Reconstruction",
    "Trained",
    "describe_machine",
    "encode",
    "fit",
    "fit_autoencoder",
    "fit_layers",
    "fit_many",
    "load_model",
    "load_pretrained",
    "predict",
    "pretrain_run",
    "pseudo_labels",
    "read_config",
    "reconstruct",
    "save_model",
    "save_pretrained",
    "task_of",
    "train_many",
    "train_run",
]
