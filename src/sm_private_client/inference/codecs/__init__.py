"""Python values to bytes of a content type, and back.

numpy, pandas and pyarrow (extra ``data``) are loaded only where a value is theirs or a codec
cannot do without.
"""

from __future__ import annotations

from sm_private_client.inference.codecs.arrays import NpyCodec
from sm_private_client.inference.codecs.choosing import CODECS, decode, encode
from sm_private_client.inference.codecs.codec import Codec, Payload
from sm_private_client.inference.codecs.delimited import CsvCodec
from sm_private_client.inference.codecs.json_text import JsonCodec, JsonLinesCodec
from sm_private_client.inference.codecs.plain import BytesCodec, TextCodec
from sm_private_client.inference.codecs.tables import ArrowCodec, ParquetCodec

__all__ = [
    "CODECS",
    "ArrowCodec",
    "BytesCodec",
    "Codec",
    "CsvCodec",
    "JsonCodec",
    "JsonLinesCodec",
    "NpyCodec",
    "ParquetCodec",
    "Payload",
    "TextCodec",
    "decode",
    "encode",
]
