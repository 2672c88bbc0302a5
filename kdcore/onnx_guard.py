"""What an ONNX model of a bundle may hold, checked before ONNX Runtime sees it.

A few dozen operators that compute numbers from numbers and texts. No loops or branches, no
functions, no operators whose output is as large as some value says, and no data outside of the
file. The protobuf is walked here in plain Python, since predicting needs no ``onnx``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod

from kdcore.errors import BundleError

__all__ = ["OPERATORS", "check_model"]

_NUMERIC = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil
Celu Clip Concat Constant Conv Cos Cosh DequantizeLinear Div Dropout Elu Equal Erf Exp Flatten Floor
Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN Less LessOrEqual
LayerNormalization LeakyRelu Log LogSoftmax LpNormalization MatMul Max MaxPool Mean Min Mish Mod Mul
Neg Not OneHot Or PRelu Pad Pow QuantizeLinear Reciprocal ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape
Round Selu Shape Sigmoid Sign Sin Sinh Slice Softmax Softplus Softsign Split Sqrt Squeeze
StringConcat Sub Sum Tan Tanh ThresholdedRelu TopK Transpose Unsqueeze Where Xor
"""

_CLASSICAL = """
ArrayFeatureExtractor Binarizer CategoryMapper FeatureVectorizer Imputer LabelEncoder
LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler
TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor
"""

#: Domain and name of every operator that a bundle may use.
OPERATORS = frozenset(
    [("", name) for name in _NUMERIC.split()]
    + [("ai.onnx.ml", name) for name in _CLASSICAL.split()]
)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Numbers of the fields of onnx.proto that are looked at.
_MODEL = {"graph": 7, "training": 20, "functions": 25}
_GRAPH = {"node": 1, "initializer": 5, "sparse": 15}
_NODE = {"op_type": 4, "attribute": 5, "domain": 7}
_ATTRIBUTE = {"tensor": 5, "tensors": 10}
#: Fields of an attribute that hold graphs or sparse tensors, or refer to a function's parameters.
_ODD = {6, 11, 21, 22, 23}
_TENSOR = {"dims": 1, "external": 13, "location": 14}

#: Runs of whole numbers, floats, and modes of nodes, of which the trees of forests hold millions.
_RUN = re.compile(
    rb"(?:\x40[\x80-\xff]*+[\x00-\x7f]|\x3d[\s\S]{4}"
    rb"|\x4a(?:\x04LEAF|\x0aBRANCH_LEQ|\x09BRANCH_(?:LT|EQ)))++"
)

Field = tuple[int, int, int, int]


def check_model(data: bytes) -> None:
    """Refuse a model that is no ONNX protobuf, or holds what no bundle needs.

    Raises
    ------
    BundleError
        Naming the operator, or what else is foreign.
    """
    try:
        graphs = []
        for number, wire, start, stop in _fields(data, 0, len(data)):
            if number in (_MODEL["functions"], _MODEL["training"]):
                raise _foreign("functions or training information")
            if number == _MODEL["graph"] and wire == _BYTES:
                graphs.append((start, stop))
        if len(graphs) != 1:
            raise ValueError("it holds no graph")
        _check_graph(data, *graphs[0])
    except (ValueError, IndexError) as error:
        raise BundleError(
            f"holds a model that cannot be run: it is no ONNX model ({error})."
        ) from error


def _check_graph(data: bytes, start: int, stop: int) -> None:
    for number, wire, first, last in _fields(data, start, stop):
        if number == _GRAPH["node"] and wire == _BYTES:
            _check_node(data, first, last)
        elif number == _GRAPH["initializer"] and wire == _BYTES:
            _check_tensor(data, first, last)
        elif number == _GRAPH["sparse"]:
            raise _foreign("sparse tensors")


def _check_node(data: bytes, start: int, stop: int) -> None:
    kind, domain = "", ""
    for number, wire, first, last in _fields(data, start, stop):
        if wire != _BYTES:
            continue
        if number == _NODE["op_type"]:
            kind = data[first:last].decode("utf-8", "replace")
        elif number == _NODE["domain"]:
            domain = data[first:last].decode("utf-8", "replace")
        elif number == _NODE["attribute"]:
            _check_attribute(data, first, last)
    if ("" if domain == "ai.onnx" else domain, kind) not in OPERATORS:
        shown = f"{domain}.{kind}"[:60] if domain else kind[:60]
        raise _foreign(f"the operator {shown!r}")


def _check_attribute(data: bytes, start: int, stop: int) -> None:
    for number, wire, first, last in _fields(data, start, stop, skip=_RUN):
        if number in _ODD:
            raise _foreign("operators that hold graphs or sparse tensors")
        if number in _ATTRIBUTE.values() and wire == _BYTES:
            _check_tensor(data, first, last)


def _check_tensor(data: bytes, start: int, stop: int) -> None:
    dims: list[int] = []
    for number, wire, first, last in _fields(data, start, stop):
        if number == _TENSOR["external"] or (number == _TENSOR["location"] and first):
            raise _foreign("weights outside of the file")
        if number == _TENSOR["dims"]:
            dims += [first] if wire == _VARINT else list(_varints(data, first, last))
    # Each element takes half a byte at least, so a size that is only claimed is found out.
    if prod(dims) > 2 * (stop - start):
        raise ValueError("a tensor is smaller than it claims")


def _foreign(what: str) -> BundleError:
    return BundleError(f"is refused: its model holds {what}, which no bundle of kdcore does.")


def _fields(
    data: bytes, at: int, stop: int, skip: re.Pattern[bytes] | None = None
) -> Iterator[Field]:
    """Number, wire type, and content of each field: its value twice, or where its bytes are."""
    while at < stop:
        if skip is not None and (run := skip.match(data, at, stop)):
            at = run.end()
            continue
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value, value
        elif wire in (_FIXED32, _FIXED64):
            at += 4 if wire == _FIXED32 else 8
            yield number, wire, at, at
        elif wire == _BYTES:
            size, at = _varint(data, at)
            yield number, wire, at, at + size
            at += size
        else:
            raise ValueError("its fields are damaged")
    if at != stop:
        raise ValueError("its fields are damaged")


def _varints(data: bytes, at: int, stop: int) -> Iterator[int]:
    while at < stop:
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value < 128:
        return value, at
    value &= 127
    for shift in range(7, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("its fields are damaged")
