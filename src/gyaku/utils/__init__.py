"""PyTorch's ``torch.utils`` names; here ``gyaku.utils.data``."""

from gyaku.utils import data

__all__ = ["data"]
