"""From the name of an encoder, with or without parameters, to an unfitted encoder."""

from __future__ import annotations

from kdcore.encoders.base import Encoder
from kdcore.encoders.ordinal import OrdinalEncoder
from kdcore.encoders.piecewise import PiecewiseLinearEncoder
from kdcore.encoders.quantile import QuantileEncoder
from kdcore.encoders.spline import SplineEncoder
from kdcore.encoders.standard import StandardEncoder
from kdcore.encoders.teacher_bins import TeacherBinsEncoder
from kdcore.encoders.untouched import UntouchedEncoder
from kdcore.errors import ParameterError
from kdcore.named_params import named_kind

__all__ = ["ENCODERS", "make_encoder"]

ENCODERS: dict[str, type[Encoder]] = {
    "standard": StandardEncoder,
    "none": UntouchedEncoder,
    "ordinal": OrdinalEncoder,
    "quantile": QuantileEncoder,
    "ple": PiecewiseLinearEncoder,
    "spline": SplineEncoder,
    "teacher_bins": TeacherBinsEncoder,
}


def make_encoder(encoder: str | Encoder) -> Encoder:
    """An unfitted encoder from its name, or a clone of the one given.

    Parameters
    ----------
    encoder : str or Encoder
        A name of `ENCODERS`, which parameters may follow as in ``"teacher_bins:pairs=20"``.

    Raises
    ------
    ParameterError
        When no encoder has that name or parameter, a value cannot be used, or it is no encoder.
    """
    from sklearn.base import clone

    if not isinstance(encoder, str):
        if not hasattr(encoder, "get_params"):
            raise ParameterError(
                f"encoder={encoder!r} is neither a name ({', '.join(ENCODERS)}) nor an encoder."
            )
        made: Encoder = clone(encoder)
    else:
        kind, given = named_kind(encoder, "encoder", ENCODERS, "teacher_bins:pairs=20")
        # Parameters are written as text, so 16 arrives as 16.0.
        whole = {
            key: int(v) if isinstance(v, float) and v.is_integer() else v
            for key, v in given.items()
        }
        made = kind(**whole)
    if isinstance(made, Encoder):
        made.check_parameters()
    return made
