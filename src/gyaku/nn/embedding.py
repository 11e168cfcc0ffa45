"""Rows of numbers looked up by an integer."""

from __future__ import annotations

from typing import Any

from gyaku.base.errors import ArgumentError
from gyaku.core.mode import no_grad
from gyaku.core.tensor import Parameter, Tensor, write
from gyaku.nn import init
from gyaku.nn.linear import fresh
from gyaku.nn.module import Module
from gyaku.ops import linear as ops


class Embedding(Module):
    """Maps integers 0..num_embeddings-1 to rows of ``weight`` (num_embeddings, embedding_dim), normal at first.

    Row ``padding_idx`` starts at zero and is never trained. Raises ``PositionError`` for an integer outside.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError("Embedding", f"padding_idx within 0..{num_embeddings - 1}", str(padding_idx))
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is None:
            self.weight = fresh((num_embeddings, embedding_dim), device, dtype).requires_grad_(not _freeze)
            self.reset_parameters()
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """Return an embedding around a given table, frozen unless ``freeze`` is false."""
        n, d = embeddings.shape
        return cls(n, d, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                write(self.weight, 0, self.padding_idx)

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows of the integers: (...) -> (..., embedding_dim)."""
        return ops.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        """Return the sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
