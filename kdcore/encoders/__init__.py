"""Student encoders: raw columns of any kind to the float32 matrix that a student computes with.

Each is a scikit-learn transformer, fitted on training rows only. Fitted state is a handful of
plain arrays, so that `kdcore.encoder_graphs` can write an encoder as a few wide ONNX operators.
"""

from kdcore.encoders.base import Encoder, raw_importances
from kdcore.encoders.choice import ENCODERS, make_encoder
from kdcore.encoders.mixed import MixedEncoder
from kdcore.encoders.ordinal import OrdinalEncoder
from kdcore.encoders.piecewise import PiecewiseLinearEncoder
from kdcore.encoders.quantile import QuantileEncoder
from kdcore.encoders.spline import SplineEncoder
from kdcore.encoders.standard import StandardEncoder
from kdcore.encoders.teacher_bins import TeacherBinsEncoder
from kdcore.encoders.untouched import UntouchedEncoder

__all__ = [
    "ENCODERS",
    "Encoder",
    "MixedEncoder",
    "OrdinalEncoder",
    "PiecewiseLinearEncoder",
    "QuantileEncoder",
    "SplineEncoder",
    "StandardEncoder",
    "TeacherBinsEncoder",
    "UntouchedEncoder",
    "make_encoder",
    "raw_importances",
]
