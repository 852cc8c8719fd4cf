"""NPY, numpy's own format of one array."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

from sm_private_client.errors import PayloadError
from sm_private_client.inference.codecs.codec import refusal
from sm_private_client.inference.codecs.libraries import is_numpy, is_pandas, load

__all__ = ["NpyCodec"]

_TAKES = "arrays, lists and tuples of equal lengths, numbers, DataFrame, Series"


@dataclass(frozen=True, kw_only=True, slots=True)
class NpyCodec:
    """One numpy array. It never pickles and never unpickles, which would run what an answer says.

    Answers are arrays, whatever was sent.
    """

    content_type: ClassVar[str] = "application/x-npy"

    def encode(self, data: object) -> bytes:
        """Gives the body; see ``Codec``."""
        numpy = load("numpy", "The NPY codec")
        if not (
            is_numpy(data)
            or is_pandas(data)
            or isinstance(data, (list, tuple, int, float, complex))
        ):
            raise refusal("NPY", data, _TAKES)
        try:
            array = numpy.asarray(data)
        except (ValueError, TypeError, OverflowError):
            array = None
        if array is None:
            raise refusal("NPY", data, _TAKES, remedy="make rows of equal lengths.")
        if array.dtype.hasobject:
            raise refusal(
                "NPY",
                data,
                "arrays without objects, which only pickle could write",
                remedy="convert it with astype() to numbers or text.",
            )
        out = io.BytesIO()
        numpy.lib.format.write_array(out, array, allow_pickle=False)
        return out.getvalue()

    def decode(self, body: bytes, *, like: object = None) -> Any:  # noqa: ANN401 - an array
        """Gives the array; ``like`` changes nothing."""
        del like
        numpy = load("numpy", "The NPY codec")
        try:
            return numpy.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
        except Exception:  # noqa: BLE001, S110 - a broken header fails in many ways, with its text
            pass
        raise PayloadError(
            f"The payload of {len(body)} bytes is not a whole NPY array without objects."
        )
