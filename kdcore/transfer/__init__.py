"""The transfer set: rows beyond the training rows, labelled by the teacher, for students to learn.

Augmenters make rows; `build_transfer_set` has them labelled and weighted and joins them to the
training rows; `transfer_quality` says how like the real rows they are.
"""

from __future__ import annotations

from kdcore.transfer.assembly import build_transfer_set, join_unlabeled, synthetic_weights
from kdcore.transfer.base import Augmenter
from kdcore.transfer.methods import AUGMENTERS, default_method, make_augmenter
from kdcore.transfer.mixture import Mixture
from kdcore.transfer.quality import QualityMeter, TransferQuality, transfer_quality

__all__ = [
    "AUGMENTERS",
    "Augmenter",
    "Mixture",
    "QualityMeter",
    "TransferQuality",
    "build_transfer_set",
    "default_method",
    "join_unlabeled",
    "make_augmenter",
    "synthetic_weights",
    "transfer_quality",
]
