"""Small learned vectors for categories, in the place of their one-hot columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore.errors import ParameterError

__all__ = ["Embeddings", "category_blocks", "check_embedding", "embedding_width", "embeddings"]


def embedding_width(embedding: Any, n_levels: int) -> int:
    """Width of the vectors of a column with so many levels.

    ``"auto"`` is ``1.6 * n_levels ** 0.56``, at most 16, as in fastai (Howard, Gugger 2020).
    """
    if embedding == "auto":
        return min(16, round(1.6 * n_levels**0.56))
    return int(embedding)


def category_blocks(encoder: Any) -> list[np.ndarray]:
    """Encoded columns of each categorical raw column that has several of its own.

    Parameters
    ----------
    encoder : fitted Encoder
        Columns that it makes of two raw columns belong to none.
    """
    owners = np.asarray(encoder.owners_)
    single = owners == np.asarray(getattr(encoder, "partners_", owners))
    blocks = [
        np.flatnonzero((owners == position) & single)
        for position, column in enumerate(encoder.schema_.columns)
        if column.kind == "categorical"
    ]
    return [block for block in blocks if len(block) > 1]


class Embeddings(nn.Module):
    """Encoded columns (n, d) to the other columns, followed by the vectors of categories.

    A vector is the product of one-hot columns and a table, so that gaps, rare and unseen
    categories are what the encoder makes of them.

    Paper: Guo, Berkhahn 2016 (entity embeddings of categorical variables), arXiv:1604.06737.

    Parameters
    ----------
    n_inputs : int
    blocks : sequence of int arrays
        The one-hot columns of each category; no column is in two of them.
    widths : sequence of int
        Width of each block's vectors.
    generator : torch.Generator
    """

    others: torch.Tensor

    def __init__(
        self,
        n_inputs: int,
        blocks: Sequence[np.ndarray],
        widths: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        taken = np.concatenate(list(blocks))
        others = np.setdiff1d(np.arange(n_inputs), taken)
        self.register_buffer("others", torch.from_numpy(others))
        self.tables = nn.ParameterList()
        for i, (block, width) in enumerate(zip(blocks, widths, strict=True)):
            self.register_buffer(f"block{i}", torch.from_numpy(np.asarray(block, np.int64)))
            # Vectors of length 1, about, as those of one-hot columns.
            table = torch.randn(len(block), width, generator=generator) / math.sqrt(width)
            self.tables.append(nn.Parameter(table))
        self.width = len(others) + sum(widths)

    @property
    def blocks(self) -> list[torch.Tensor]:
        """Positions of each block's columns."""
        return [self.get_buffer(f"block{i}") for i in range(len(self.tables))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        vectors = [
            x.index_select(1, block) @ table
            for block, table in zip(self.blocks, self.tables, strict=True)
        ]
        return torch.cat([x.index_select(1, self.others), *vectors], dim=1)


def embeddings(encoder: Any, embedding: Any, generator: torch.Generator) -> Embeddings | None:
    """The layer for a fitted encoder; None where no column would get narrower by it."""
    found = [(block, embedding_width(embedding, len(block))) for block in category_blocks(encoder)]
    found = [(block, width) for block, width in found if width < len(block)]
    if not found:
        return None
    blocks, widths = zip(*found, strict=True)
    return Embeddings(len(encoder.owners_), blocks, widths, generator)


def check_embedding(embedding: Any) -> None:
    """Refuse a parameter ``embedding`` that cannot be used.

    Raises
    ------
    ParameterError
    """
    whole = isinstance(embedding, (int, np.integer)) and not isinstance(embedding, bool)
    if not (embedding is None or embedding == "auto" or (whole and embedding > 0)):
        raise ParameterError(
            f"embedding={embedding!r} must be a whole number above 0, 'auto', or None for one-hot "
            "columns."
        )
