"""Specification of inference/codecs: Python values to bytes of a content type, and back."""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
import subprocess
import sys
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from sm_private_client.errors import ConfigurationError, MissingExtraError, PayloadError
from sm_private_client.inference.codecs import (
    CODECS,
    Codec,
    CsvCodec,
    JsonCodec,
    JsonLinesCodec,
    Payload,
    decode,
    encode,
)

ARROW = "application/vnd.apache.arrow.stream"


@dataclass
class House:
    rooms: int
    city: str


def numpy() -> Any:
    return pytest.importorskip("numpy")


def pandas() -> Any:
    return pytest.importorskip("pandas")


def pyarrow() -> Any:
    return pytest.importorskip("pyarrow")


def frame() -> Any:
    return pandas().DataFrame({"n": [1, 2], "x": [0.5, None], "s": ["a", "b,c"]})


def series() -> Any:
    return pandas().Series([1, 2.5])


def table() -> Any:
    return pyarrow().table({"n": [1, 2], "s": ["a", None]})


def batch() -> Any:
    return pyarrow().table({"n": [1]}).to_batches()[0]


def array() -> Any:
    return numpy().array([[1.5, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("data", "body", "content_type", "accept"),
    [
        ({"a": [1, None, True]}, b'{"a":[1,null,true]}', "application/json", None),
        ([1, "é"], b'[1,"\\u00e9"]', "application/json", None),
        ((1, 2), b"[1,2]", "application/json", None),
        (1.5, b"1.5", "application/json", None),
        (None, b"null", "application/json", None),
        (False, b"false", "application/json", None),
        (House(3, "Rome"), b'{"rooms":3,"city":"Rome"}', "application/json", None),
        ([House(3, "Rome")], b'[{"rooms":3,"city":"Rome"}]', "application/json", None),
        (MappingProxyType({"a": 1}), b'{"a":1}', "application/json", None),
        ("1,é", "1,é".encode(), "text/plain", "*/*"),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream", "*/*"),
        (bytearray(b"ab"), b"ab", "application/octet-stream", "*/*"),
        (memoryview(b"abcd")[::2], b"ac", "application/octet-stream", "*/*"),
        (({"n": n} for n in range(2)), b'{"n":0}\n{"n":1}\n', "application/jsonlines", None),
        (range(2), b"0\n1\n", "application/jsonlines", None),
        (deque([[1], [2]]), b"[1]\n[2]\n", "application/jsonlines", None),
    ],
)
def test_the_codec_follows_the_inputs_type(
    data: object, body: bytes, content_type: str, accept: str | None
) -> None:
    """Python's own types; the same content type is asked for, unless it says nothing."""
    assert encode(data) == (body, content_type, accept or content_type)


@pytest.mark.parametrize(
    ("make", "content_type", "body"),
    [
        (frame, "text/csv", b'1,0.5,a\n2,,"b,c"\n'),
        (series, "text/csv", b"1.0,2.5\n"),
        (table, ARROW, None),
        (batch, ARROW, None),
        (array, "application/x-npy", None),
        (lambda: numpy().float32(0.5), "application/json", b"0.5"),
        (lambda: numpy().array(7), "application/json", b"7"),
    ],
)
def test_the_codec_follows_a_librarys_type(
    make: Callable[[], Any], content_type: str, body: bytes | None
) -> None:
    """numpy's, pandas' and pyarrow's."""
    payload = encode(make())
    assert payload.content_type == content_type
    assert body is None or payload.body == body


def test_a_payloads_repr_has_no_body() -> None:
    """Only its size."""
    assert repr(encode("secret")) == (
        "Payload(body=<6 bytes>, content_type='text/plain', accept='*/*')"
    )


@pytest.mark.parametrize(
    ("name", "name_of_codec", "sent", "accept"),
    [
        ("json", "json", "application/json", "application/json"),
        (" JSON ", "json", "application/json", "application/json"),
        ("Application/JSON", "json", "Application/JSON", "application/json"),
        ("application/json; charset=utf-8", "json", "application/json; charset=utf-8",
         "application/json"),
        ("application/vnd.a+json", "json", "application/vnd.a+json", "application/vnd.a+json"),
        ("jsonl", "jsonlines", "application/jsonlines", "application/jsonlines"),
        ("jsonlines", "jsonlines", "application/jsonlines", "application/jsonlines"),
        ("application/x-jsonlines", "jsonlines", "application/x-jsonlines",
         "application/x-jsonlines"),
        ("application/jsonlines;verbose=true", "jsonlines", "application/jsonlines;verbose=true",
         "application/jsonlines"),
        ("csv", "csv", "text/csv", "text/csv"),
        ("text/csv; label_size=0", "csv", "text/csv; label_size=0", "text/csv"),
    ],
)  # fmt: skip
def test_a_codec_is_named(name: str, name_of_codec: str, sent: str, accept: str) -> None:
    """By a name or a content type, which goes out as it was given, parameters too."""
    data = [{"a": 1}, {"a": 2}]
    assert encode(data, name) == (CODECS[name_of_codec].encode(data), sent, accept)


@pytest.mark.parametrize("name", ["xml", "application/xml", "", "image/png", "*/*"])
def test_unknown_codecs_are_refused(name: str) -> None:
    """With the known ones as the remedy."""
    with pytest.raises(ConfigurationError) as caught:
        encode({"a": 1}, name)
    assert str(caught.value) == (
        f"codec={name!r} is neither a codec nor a content type that has one.\n"
        "Remedy: give one of json, jsonlines, csv, npy, parquet, arrow, text, bytes, a content "
        "type of theirs, or an object with content_type, encode and decode.\n"
        "See docs/errors.md#configuration"
    )


class Reversed:
    """A codec of a user."""

    content_type = "application/x-reversed"

    def encode(self, data: Any) -> bytes:
        return str(data).encode()[::-1]

    def decode(self, body: bytes, *, like: object = None) -> Any:
        return body[::-1].decode(), like


def test_a_codec_of_your_own() -> None:
    """It encodes, and it decodes every answer, whatever its content type."""
    codec: Codec = Reversed()
    assert encode("abc", codec) == (b"cba", "application/x-reversed", "application/x-reversed")
    assert decode(b"cba", "application/json", codec=codec, like=7) == ("abc", 7)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("body", [b"\xff secret", b"{", b"PAR1", b"\x93NUMPY\x01"])
def test_a_body_that_is_damaged_is_no_error_of_a_library(name: str, body: bytes) -> None:
    """A value, or our own error, which does not hold the bytes."""
    refused = None
    try:
        CODECS[name].decode(body)
    except PayloadError as error:
        refused = error
    assert refused is None or ("secret" not in str(refused) and refused.__context__ is None)


@pytest.mark.parametrize("name", CODECS)
def test_codecs_pickle(name: str) -> None:
    """They are settings and nothing else."""
    assert pickle.loads(pickle.dumps(CODECS[name])) == CODECS[name]  # noqa: S301 - just made


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)  # fmt: skip


@given(value=JSON)
def test_json_round_trip(value: Any) -> None:
    """What JSON can hold comes back."""
    body, content_type, _ = encode(value, "json")
    assert decode(body, content_type) == value
    assert body.isascii()


@given(rows=st.lists(JSON, max_size=5))
def test_json_lines_round_trip(rows: list[Any]) -> None:
    """One value a line; a line has no line end inside."""
    body, content_type, _ = encode(iter(rows))
    assert body.count(b"\n") == len(rows)
    assert decode(body, content_type) == rows


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc), '"2026-01-02T03:04:00+00:00"'),
        ([date(2026, 1, 2), time(3, 4)], '["2026-01-02","03:04:00"]'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ({1: "a", None: "b"}, '{"1":"a","null":"b"}'),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        ({"rows": (n for n in range(2))}, '{"rows":[0,1]}'),
    ],
)
def test_json_of_more_than_json_has(data: object, written: str) -> None:
    """Datetimes in ISO 8601, UUIDs, mappings, generators inside."""
    assert encode(data, "json").body == written.encode()


def test_json_of_library_values() -> None:
    """Arrays and scalars, frames, series and tables, at any depth."""
    np, pd = numpy(), pandas()
    data = {
        "array": array(),
        "scalars": [np.int64(1), np.bool_(True), np.str_("s")],
        "when": np.array(["2026-01-02T03:04:05.678", "NaT"], dtype="datetime64[ns]"),
        "frame": pd.DataFrame({"n": [1], "t": [pd.Timestamp("2026-01-02")]}),
        "series": pd.Series([1, 2]),
        "table": table(),
    }
    assert json.loads(encode(data).body) == {
        "array": [[1.5, 2.0], [3.0, 4.0]],
        "scalars": [1, True, "s"],
        "when": ["2026-01-02T03:04:05.678000", None],
        "frame": [{"n": 1, "t": "2026-01-02T00:00:00"}],
        "series": [1, 2],
        "table": [{"n": 1, "s": "a"}, {"n": 2, "s": None}],
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_no_json_number(number: float) -> None:
    """With both ways out; the second writes what json.dumps does."""
    with pytest.raises(PayloadError) as caught:
        encode({"a": [number]})
    assert str(caught.value) == (
        "The JSON codec cannot encode this dict: it has NaN or an infinity, which JSON does not.\n"
        "Remedy: replace missing values, for example by None, or pass "
        "codec=JsonCodec(allow_nan=True) if the model reads NaN.\n"
        "See docs/errors.md#payload"
    )
    assert caught.value.__context__ is None
    assert encode([number], JsonCodec(allow_nan=True)).body == json.dumps([number]).encode()
    assert str(decode(json.dumps(number).encode(), "application/json")) == str(number)


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("codec", "make", "text"),
    [
        ("json", lambda: {"a": b"secret"}, "The JSON codec cannot encode bytes: it takes dict, "),
        ("json", lambda: [{"secret"}], "The JSON codec cannot encode set: it takes dict, list"),
        ("json", lambda: Decimal("1.1"), "The JSON codec cannot encode decimal.Decimal: it takes"),
        ("json", lambda: timedelta(1), "The JSON codec cannot encode datetime.timedelta: it takes"),
        ("json", object, "The JSON codec cannot encode object: it takes dict, list, tuple, str"),
        ("json", lambda: House, "The JSON codec cannot encode type: it takes dict, list, tuple"),
        ("json", lambda: 1j, "The JSON codec cannot encode complex: it takes dict, list, tuple"),
        ("json", lambda: {(1, "secret"): 1}, "dict: it has a dict with keys that are not str"),
        ("json", circular, "cannot encode this list: it contains itself, or is nested too deeply"),
        ("json", deep, "cannot encode this list: it contains itself, or is nested too deeply"),
        ("jsonlines", lambda: "secret", "The JSON Lines codec cannot encode str: it takes itera"),
        ("jsonlines", lambda: 7, "The JSON Lines codec cannot encode int: it takes iterables of"),
        ("jsonlines", lambda: [{"a": math.nan}], "The JSON Lines codec cannot encode this dict: "),
        ("csv", lambda: {1, 2}, "The CSV codec cannot encode set: it takes str (CSV already), "),
        ("csv", lambda: b"1,2", "The CSV codec cannot encode bytes: it takes str (CSV already), "),
        ("csv", lambda: 7, "The CSV codec cannot encode int: it takes str (CSV already), rows"),
        ("csv", lambda: [[1], 2], "The CSV (row 2) codec cannot encode int: it takes rows: lists"),
        ("csv", lambda: iter([1]), "The CSV (row 1) codec cannot encode int: it takes rows: li"),
        ("csv", lambda: [[[1]]], "The CSV (row 1) codec cannot encode list: it takes cells of"),
        ("csv", lambda: [["a", b"b"]], "The CSV (row 1) codec cannot encode bytes: it takes cells"),
        ("csv", lambda: [[object()]], "The CSV (row 1) codec cannot encode object: it takes ce"),
        ("csv", lambda: [[1], []], "Row 2 has no cells, which CSV cannot write."),
        ("csv", lambda: [{"a": 1}, {"b": 1}], "Row 2 has other keys than the row before it."),
        ("csv", lambda: [{"a": 1}, {"a": 1, "b": 2}], "Row 2 has other keys than the row before"),
        ("csv", lambda: [{"a": 1}, [1]], "Row 2 is list, which has no names for its columns."),
        ("csv", lambda: "\ud800", "Character 0 of the text is a lone surrogate."),
        ("text", lambda: b"secret", "The text codec cannot encode bytes: it takes str."),
        ("text", lambda: "a\ud800", "Character 1 of the text is a lone surrogate."),
        ("bytes", lambda: "secret", "The bytes codec cannot encode str: it takes bytes, bytearray"),
        (None, lambda: {1, 2}, "The JSON codec cannot encode set: it takes dict, list, tuple"),
        ("text/plain; charset=latin-1", lambda: "€", "The charset 'latin-1' cannot be used"),
        ("text/plain; charset=nope", lambda: "a", "The charset 'nope' cannot be used: Python"),
    ],
)
def test_what_a_codec_does_not_take(
    codec: str | None, make: Callable[[], object], text: str
) -> None:
    """Both types are named: what was given and what is taken; no value ever is."""
    with pytest.raises(PayloadError) as caught:
        encode(make(), codec)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("codec", "make", "text"),
    [
        ("npy", lambda: {"a": 1}, "The NPY codec cannot encode dict: it takes arrays, lists and"),
        ("npy", lambda: "secret", "The NPY codec cannot encode str: it takes arrays, lists and"),
        ("npy", lambda: [[1], [2, 3]], "The NPY codec cannot encode list: it takes arrays, lists"),
        ("npy", lambda: [object()], "cannot encode list: it takes arrays without objects, which"),
        ("npy", lambda: numpy().array([{}]), "cannot encode numpy.ndarray: it takes arrays with"),
        ("npy", frame, "cannot encode pandas.DataFrame: it takes arrays without objects"),
        ("npy", table, "The NPY codec cannot encode pyarrow.Table: it takes arrays, lists and"),
        ("json", lambda: [numpy().array([1j])], "The JSON codec cannot encode complex: it takes"),
        ("json", lambda: numpy().timedelta64(1, "s"), "cannot encode numpy.timedelta64: it takes"),
        ("json", lambda: numpy().longdouble(1), "cannot encode numpy.longdouble: it takes dict"),
        ("json", frame, "cannot encode this pandas.DataFrame: it has NaN or an infinity"),
        ("json", lambda: [pandas().NaT], "cannot encode pandas.NaTType: it takes dict, list"),
        ("json", lambda: [pandas().NA], "cannot encode pandas.NAType: it takes dict, list"),
        ("json", lambda: pandas().Index([1]), "cannot encode pandas.Index: it takes dict, list"),
        ("json", lambda: pandas().DataFrame([[1, 2]], columns=["a", "a"]), "Two columns have the"),
        ("csv", lambda: numpy().zeros((1, 1, 1)), "The CSV codec cannot encode numpy.ndarray: it"),
        ("csv", lambda: [[numpy().zeros(2)]], "(row 1) codec cannot encode numpy.ndarray: it"),
        ("csv", lambda: numpy().array([b"secret"]), "(row 1) codec cannot encode numpy.bytes_"),
        ("parquet", array, "The Parquet codec cannot encode numpy.ndarray: it takes DataFrame"),
        ("parquet", lambda: [[1]], "The Parquet codec cannot encode list: it takes DataFrame, T"),
        ("parquet", lambda: "secret", "The Parquet codec cannot encode str: it takes DataFrame"),
        ("arrow", lambda: {"a": [1], "b": [1, 2]}, "The Arrow codec cannot encode dict: it takes"),
        ("arrow", lambda: [{"a": 1}, {"a": "secret"}], "The Arrow codec cannot encode list: it"),
        ("arrow", lambda: 7, "The Arrow codec cannot encode int: it takes DataFrame, Table"),
    ],
)  # fmt: skip
def test_what_a_codec_does_not_take_of_libraries(
    codec: str, make: Callable[[], object], text: str
) -> None:
    """The same where numpy, pandas and pyarrow are needed."""
    pyarrow()
    pandas()
    with pytest.raises(PayloadError) as caught:
        encode(make(), codec)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ([[1, 2.5], ["a,b", None]], b'1,2.5\n"a,b",\n'),
        ([1, "x", None], b"1,x,\n"),
        ((1, 2), b"1,2\n"),
        ([], b""),
        ("1,2\r\n", b"1,2\r\n"),
        ([{"a": 1, "b": 2}, {"b": 4, "a": 3}], b"1,2\n3,4\n"),
        ({"a": 1, "b": 2}, b"1,2\n"),
        ([House(3, "Rome")], b"3,Rome\n"),
        (([n] for n in range(2)), b"0\n1\n"),
        ([[math.nan, math.inf, True]], b",inf,True\n"),
        ([[date(2026, 1, 2), datetime(2026, 1, 2), Decimal("1.10")]],  # noqa: DTZ001 - naive is fine
         b"2026-01-02,2026-01-02T00:00:00,1.10\n"),
        ([['say "hi"', "two\nlines"]], b'"say ""hi""","two\nlines"\n'),
    ],
)  # fmt: skip
def test_csv_is_written_without_a_header(data: object, body: bytes) -> None:
    """Rows as built-in algorithms expect them; a flat list is one row."""
    assert encode(data, "csv").body == body


def test_csv_of_library_values() -> None:
    """Arrays of one and two dimensions, rows of a frame, tables, numpy's scalars."""
    np, pd = numpy(), pandas()
    assert encode(array(), "csv").body == b"1.5,2.0\n3.0,4.0\n"
    assert encode(np.float32([0.1, 2]), "csv").body == b"0.1,2.0\n"
    assert encode([np.array([1, 2]), pd.Series([3, pd.NA])], "csv").body == b"1,2\n3,\n"
    assert encode(frame().iloc[0], "csv").body == b"1,0.5,a\n"
    when = np.array(["2026-01-02", "NaT"], dtype="datetime64[ns]")
    assert encode(when, "csv").body == b"2026-01-02T00:00:00,\n"
    assert encode(table(), "csv").body == b"1,a\n2,\n"
    assert encode(batch(), "csv").body == b"1\n"
    assert encode(pd.DataFrame({"s": ["a\rb", "c"]}), "csv").body == b'"a\rb"\n"c"\n'


CELLS = st.none() | st.integers() | st.floats(allow_nan=False) | (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), min_size=1)
).filter(lambda text: isinstance(_read_cell(text), str))  # fmt: skip


def _read_cell(text: str) -> object:
    (row,) = CsvCodec().decode(encode([[text]], "csv").body)
    return row[0]


@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=4))
@example(rows=[[None]])
@example(rows=[["\r"], [" a "]])
def test_csv_round_trip(rows: list[list[Any]]) -> None:
    """Numbers, text that looks like none, and None come back."""
    body, content_type, _ = encode(rows, "csv")
    assert decode(body, content_type) == rows
    assert len(list(csv.reader(io.StringIO(body.decode(), newline="")))) == len(rows)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("1.0", 1.0),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("+2.5", 2.5),
        ("NaN", math.nan),
        ("-inf", -math.inf),
        ("Infinity", math.inf),
        ("", None),
        ("007", "007"),
        ("00.5", "00.5"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        (" 1", " 1"),
        ("0x10", "0x10"),
        ("True", "True"),
        ("e5", "e5"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_csv_cells_that_look_like_numbers_are(cell: str, value: object) -> None:
    """Those that a plain reader would write, and no others: identifiers keep their zeros."""
    ((got, _),) = decode(f"{cell},x\n".encode(), "text/csv")
    assert repr(got) == repr(value)


def test_csv_answers_in_kind() -> None:
    """A DataFrame, Table or array where one was sent."""
    body = b"0.9,1\n0.1,\n"
    assert decode(body, "text/csv") == [[0.9, 1], [0.1, None]]
    as_array = decode(body, "text/csv", like=array())
    numpy().testing.assert_array_equal(as_array, [[0.9, 1], [0.1, math.nan]])
    for like in (frame(), series()):
        as_frame = decode(body, "text/csv", like=like)
        assert as_frame.shape == (2, 2)
        assert list(as_frame[0]) == [0.9, 0.1]
    assert decode(body, "text/csv", like=table()).column(0).to_pylist() == [0.9, 0.1]
    labels = decode(b"setosa,0.9\n", "text/csv", like=array())
    assert labels.tolist() == [["setosa", 0.9]]
    assert decode(b"", "text/csv", like=frame()).empty
    assert decode(b"", "text/csv", like=table()).num_rows == 0
    assert decode(b"", "text/csv", like=array()).size == 0


def test_csv_with_a_header() -> None:
    """Names are written first, and read: rows are dicts."""
    codec = CsvCodec(header=True)
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    body = encode(rows, codec).body
    assert body == b"a,b\n1,x\n2,\n"
    assert decode(body, "text/csv", codec=codec) == rows
    assert decode(b"", "text/csv", codec=codec) == []
    assert encode(table(), codec).body == b"n,s\n1,a\n2,\n"
    assert encode(frame(), codec).body.startswith(b"n,x,s\n1,0.5,a\n")
    assert list(decode(body, "text/csv", codec=codec, like=frame()).columns) == ["a", "b"]
    assert decode(body, "text/csv", codec=codec, like=table()).schema.names == ["a", "b"]
    with pytest.raises(PayloadError, match="Row 1 is list, which has no names for its columns"):
        encode([[1]], codec)
    with pytest.raises(PayloadError, match="The rows of the payload differ in length"):
        decode(b"a,b\n1\n", "text/csv", codec=codec)


@pytest.mark.parametrize(
    "dtype", ["<f4", ">f8", "<i8", "u1", "?", "<c16", "<U5", "S3", "<M8[ns]", "i4,f8"]
)
def test_npy_round_trip(dtype: str) -> None:
    """Every type but objects, with shape and order."""
    np = numpy()
    sent = np.zeros((2, 3), dtype=dtype, order="F")
    got = decode(*encode(sent)[:2], like=sent)
    assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
    assert (got == sent).all()


def test_npy_of_lists_and_frames() -> None:
    """What makes an array of numbers."""
    np, pd = numpy(), pandas()
    for data in ([[1, 2]], ((1, 2),), pd.DataFrame([[1, 2]]), np.array([[1, 2]])):
        assert decode(*encode(data, "npy")[:2]).tolist() == [[1, 2]]
    assert decode(*encode(pd.Series([1.5]), "npy")[:2]).tolist() == [1.5]
    assert decode(*encode(7, "npy")[:2]).shape == ()


def npy_with_objects() -> bytes:
    np = numpy()
    out = io.BytesIO()
    np.save(out, np.array([Bomb()], dtype=object), allow_pickle=True)
    return out.getvalue()


class Bomb:
    def __reduce__(self) -> Any:
        return pytest.fail, ("it was unpickled",)


def npz() -> bytes:
    np = numpy()
    out = io.BytesIO()
    np.savez(out, a=np.zeros(1))
    return out.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        npy_with_objects,
        npz,
        lambda: b"",
        lambda: b"secret",
        lambda: pickle.dumps(Bomb()),
        lambda: encode(array()).body[:-1],
        lambda: encode(array()).body[:40],
        lambda: encode(array()).body.replace(b"'shape': (2, 2)", b"'shape': (99**99,)"),
    ],
)
def test_npy_never_unpickles(make: Callable[[], bytes]) -> None:
    """Objects, archives, pickles and broken arrays are refused by their size, not their bytes."""
    numpy()
    body = make()
    with pytest.raises(PayloadError) as caught:
        decode(body, "application/x-npy", like=[1])
    assert str(caught.value) == (
        "The answer, of content type 'application/x-npy', cannot be decoded as application/x-npy "
        f"(sent: list): The payload of {len(body)} bytes is not a whole NPY array without "
        "objects.\nRemedy: name the codec= of what the model answers, or call invoke() for the "
        "bytes.\nSee docs/errors.md#payload"
    )


@given(junk=st.binary(max_size=80))
def test_junk_behind_npys_magic_is_refused(junk: bytes) -> None:
    """Whatever a header says, it is an array or a PayloadError."""
    numpy()
    for version in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        length = len(junk).to_bytes(2 if version == b"\x01\x00" else 4, "little")
        with pytest.raises(PayloadError):
            decode(b"\x93NUMPY" + version + length + junk, "application/x-npy")


@pytest.mark.parametrize("codec", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (table, [{"n": 1, "s": "a"}, {"n": 2, "s": None}]),
        (batch, [{"n": 1}]),
        (lambda: [{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}]),
        (lambda: ({"a": n} for n in range(1)), [{"a": 0}]),
        (lambda: {"a": [1, 2]}, [{"a": 1}, {"a": 2}]),
        (lambda: [House(3, "Rome")], [{"rooms": 3, "city": "Rome"}]),
        (lambda: House(3, "Rome"), [{"rooms": 3, "city": "Rome"}]),
    ],
)
def test_tables_round_trip(codec: str, make: Callable[[], Any], rows: list[Any]) -> None:
    """Tables, batches, dicts as rows, a dict of columns: a Table comes back."""
    pyarrow()
    body, content_type, _ = encode(make(), codec)
    assert decode(body, content_type).to_pylist() == rows


@pytest.mark.parametrize("codec", ["parquet", "arrow"])
def test_a_frame_is_answered_by_a_frame(codec: str) -> None:
    """Without its index; a Table where pandas was not what was sent."""
    pyarrow()
    sent = frame().set_index(pandas().Index([7, 8]))
    body, content_type, _ = encode(sent, codec)
    got = decode(body, content_type, like=sent)
    pandas().testing.assert_frame_equal(got, sent.reset_index(drop=True))
    assert decode(body, content_type, like=[1]).schema.names == ["n", "x", "s"]


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json", b'{"a":1}', {"a": 1}),
        ("Application/JSON; charset=UTF-8", '"é"'.encode(), "é"),
        ("application/json", '"é"'.encode("utf-16"), "é"),
        ('application/json; charset="latin-1"', '"é"'.encode("latin-1"), "é"),
        ("application/problem+json", b"1", 1),
        ("application/jsonlines", b'{"a":1}\n{"a":2}', [{"a": 1}, {"a": 2}]),
        ("application/x-jsonlines", b"1\n\n2\n", [1, 2]),
        ("application/x-ndjson", b"", []),
        ("text/csv; charset=utf-8", b"1,x\r\n", [[1, "x"]]),
        ("text/csv", b"\xef\xbb\xbf1\n\n2\n", [[1], [2]]),
        ("text/csv; charset=latin-1", "é\n".encode("latin-1"), [["é"]]),
        ("text/plain", "é".encode(), "é"),
        ("text/html; charset=iso-8859-1", b"\xe9", "é"),
        ("application/octet-stream", b"\xff", b"\xff"),
        ("application/x-unknown", b"\xff", b"\xff"),
        ("json", b"1", b"1"),
        ("", b"a", b"a"),
        (None, b"a", b"a"),
    ],
)
def test_the_answers_content_type_decides(
    content_type: str | None, body: bytes, value: object
) -> None:
    """In any case, with any parameters; text gives str, what is unknown gives bytes."""
    assert decode(body, content_type) == value


@pytest.mark.parametrize(
    ("content_type", "codec", "value"),
    [
        (None, "json", [1]),
        ("", "json", [1]),
        ("application/octet-stream", "json", [1]),
        ("text/plain; charset=utf-8", "json", [1]),
        ("text/html; charset=utf-8", "application/json", [1]),
        ("application/x-unknown", "json", [1]),
        ("application/json", "csv", [1]),
        ("application/json", "bytes", [1]),
        ("text/csv", "json", [["[1]"]]),
        ("text/plain", "bytes", b"[1]"),
        ("text/plain", "xml", "[1]"),
    ],
)
def test_a_named_codec_decodes_where_the_answer_says_nothing(
    content_type: str | None, codec: str, value: object
) -> None:
    """A model that answers JSON to CSV is understood, and so is one that labels nothing."""
    assert decode(b"[1]", content_type, codec=codec) == value


@pytest.mark.parametrize(
    ("content_type", "body", "codec", "problem"),
    [
        ("application/json", b'{"a": secret}', None, "is not valid JSON at character 6."),
        ("application/json", b"", None, "The payload of 0 bytes is not valid JSON at character 0."),
        ("application/json", b'"\xff"', None, "is not valid utf-8 at byte 1."),
        ("application/json", b"[" * 200_000, None, "is JSON that Python cannot hold."),
        ("application/jsonlines", b"1\nsecret", None, "No JSON value begins at character 2"),
        ("text/csv", b'1\n"secret', None, "The payload is not valid CSV at line 2."),
        ("text/csv", b"\xff", None, "The payload is not valid utf-8 at byte 0."),
        ("text/plain", b"a\xff", None, "The payload is not valid utf-8 at byte 1."),
        ("text/plain; charset=nope", b"a", None, "The charset 'nope' cannot be used: Python does"),
        ("text/plain; charset=utf-16", b"abc", None, "The charset 'utf-16' cannot be used: the"),
        (None, b"secret", "json", "is not valid JSON at character 0."),
    ],
)
def test_what_cannot_be_decoded(
    content_type: str | None, body: bytes, codec: str | None, problem: str
) -> None:
    """Both types are named: what the answer was and what it was taken for; its bytes are not."""
    with pytest.raises(PayloadError) as caught:
        decode(body, content_type, codec=codec, like={"a": 1})
    text = str(caught.value)
    assert text.startswith(f"The answer, of content type {content_type!r}, cannot be decoded as ")
    assert "(sent: dict): " in text
    assert problem in text
    assert "secret" not in text
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("content_type", "make_like", "body"),
    [
        ("application/x-parquet", table, b"secret"),
        ("application/vnd.apache.parquet", table, b"PAR1secretPAR1"),
        (ARROW, table, b"secret"),
        (ARROW, table, b""),
        ("text/csv", array, b"secret\n1,2\n"),
        ("text/csv", frame, b"secret\n1,2\n"),
        ("text/csv", table, b"secret\n1,2\n"),
    ],
)
def test_what_libraries_cannot_decode(
    content_type: str, make_like: Callable[[], Any], body: bytes
) -> None:
    """The same for tables, and for CSV in kind."""
    pyarrow()
    with pytest.raises(PayloadError) as caught:
        decode(body, content_type, like=make_like())
    assert repr(content_type) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_a_generator_raises_comes_through() -> None:
    """A ValueError of the caller's rows is the caller's, not a fault of the format."""

    def rows() -> Any:
        yield {"a": 1}
        raise ValueError("mine")

    for codec in (None, "json", "csv", "jsonlines"):
        with pytest.raises(ValueError, match=r"^mine$"):
            encode(rows(), codec)


def test_rows_are_pulled_one_by_one() -> None:
    """JSON Lines and CSV keep no list of the rows they are given."""
    seen: list[int] = []

    def rows() -> Any:
        for n in range(3):
            seen.append(n)
            yield [n]

    assert CsvCodec().encode(rows()) == b"0\n1\n2\n"
    assert JsonLinesCodec().encode(rows()) == b"[0]\n[1]\n[2]\n"
    assert seen == [0, 1, 2, 0, 1, 2]


def run(code: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=240
    )
    return done.stdout.strip()


def test_libraries_load_only_when_used() -> None:
    """Neither importing the codecs nor using the plain ones loads numpy, pandas or pyarrow."""
    code = (
        "import sys\n"
        "from sm_private_client.inference.codecs import encode, decode\n"
        "for data in ({'a': 1}, [1], 'x', b'x', iter([{}])): decode(*encode(data)[:2], like=data)\n"
        "decode(*encode([[1, 'a']], 'csv')[:2], like=[[1]])\n"
        "print([name for name in ('numpy', 'pandas', 'pyarrow') if name in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize(
    ("codec", "module", "feature"),
    [
        ("npy", "numpy", "The NPY codec"),
        ("parquet", "pyarrow", "Parquet and Arrow"),
        ("arrow", "pyarrow", "Parquet and Arrow"),
    ],
)
def test_a_missing_library_names_the_extra(
    codec: str, module: str, feature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it, for both directions."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"{module}.parquet", raising=False)
    calls: tuple[Callable[[], object], ...] = (
        lambda: encode([{"a": 1}] if module == "pyarrow" else [1], codec),
        lambda: decode(b"", CODECS[codec].content_type),
    )
    for call in calls:
        with pytest.raises(MissingExtraError) as caught:
            call()
        assert str(caught.value) == str(MissingExtraError(feature, extra="data"))


def test_a_payload_unpacks() -> None:
    """It is a tuple of three."""
    body, content_type, accept = encode({"a": 1})
    assert Payload(body, content_type, accept) == encode({"a": 1})
