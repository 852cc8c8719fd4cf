"""Codecs: Python values as bytes of a content type, and back.

numpy, pandas and pyarrow (extra ``data``) are loaded only if a value is theirs or a codec needs
them.
"""

from __future__ import annotations

from sm_private_client.inference.codecs.binary import ArrowCodec, NpyCodec, ParquetCodec
from sm_private_client.inference.codecs.codec import BytesCodec, Codec, Payload, TextCodec
from sm_private_client.inference.codecs.csv_codec import CsvCodec
from sm_private_client.inference.codecs.json_codec import JsonCodec, JsonLinesCodec
from sm_private_client.inference.codecs.registry import CODECS, decode, encode

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
