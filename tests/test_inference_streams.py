"""Specification of inference/streams.py and decoders/: the same items however bytes are cut."""

from __future__ import annotations

import codecs
import gc
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import hypothesis.strategies as st
import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given

from sm_private_client.errors import (
    ConfigurationError,
    PayloadError,
    StreamError,
    StreamInterruptedError,
)
from sm_private_client.inference.decoders import (
    ChatChunkDecoder,
    Decoder,
    JsonDecoder,
    LineDecoder,
    ServerSentEvent,
    ServerSentEventDecoder,
    TextDecoder,
)
from sm_private_client.inference.operations import OperationResult
from sm_private_client.inference.streams import ResponseStream

DECODERS: dict[str, Callable[[], Decoder[Any]]] = {
    "text": TextDecoder,
    "utf-16": lambda: TextDecoder("utf-16"),
    "shift_jis": lambda: TextDecoder("shift_jis"),
    "lines": LineDecoder,
    "json": JsonDecoder,
    "sse": ServerSentEventDecoder,
    "chat": ChatChunkDecoder,
}


class Answer:
    """A stream of given parts that may end in an error, and counts how often it is closed."""

    def __init__(
        self,
        *parts: bytes,
        error: Exception | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.head = OperationResult(
            members=members or {}, request_id="r-1", availability_zone="us-east-1a"
        )
        self.closes = 0
        self.given = 0
        self._parts = parts
        self._error = error

    def parts(self) -> Iterator[bytes]:
        for part in self._parts:
            self.given += 1
            yield part
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closes += 1


def decode(decoder: Decoder[Any], parts: list[bytes]) -> tuple[list[Any], str | None]:
    """The items, and the text of the failure that ended them."""
    items: list[Any] = []
    try:
        for part in parts:
            items += decoder.feed(part)
            decoder.check()
        items += decoder.finish()
    except PayloadError as error:
        failure = error
    else:
        return items, None
    assert failure.__context__ is None  # json's and codecs' own errors hold the payload
    return items, str(failure)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def joined(kind: str, items: list[Any]) -> list[Any]:
    """Text comes in whatever pieces the bytes came in; only its sum is the same."""
    return ["".join(items)] if kind in {"text", "utf-16", "shift_jis"} else items


SPECIAL = st.sampled_from(
    [
        *(
            b"\r",
            b"\n",
            b"\r\n",
            b"\xef\xbb\xbf",
            "é".encode(),
            "🎈".encode(),
            b"\xff",
            b"\xe2\x82",
        ),
        *(b"data:", b"data: ", b"event: e", b"id: 1", b"id: \0", b"retry: 5", b"retry: x", b": c"),
        *(b'{"a": "\\"}"}', b"[1, [2]]", b"12", b" ", b"-", b"true", b'"', b"\\", b"{", b"}", b"]"),
        *(b"data: [DONE]\n\n", b'data: {"n": 1}\n\n', b"NaN", b"\xe2\x80\xa8", b","),
    ]
)
BODIES = st.lists(SPECIAL | st.binary(max_size=4), max_size=14).map(b"".join)
CUTS = st.lists(st.integers(0, 400), max_size=8)


@pytest.mark.parametrize("kind", DECODERS)
@given(body=BODIES, cuts=CUTS)
@example(body=b"a\r\nb\r\n", cuts=[2, 5])
@example(body=b"\xef\xbb\xbfdata: x\r\n\r\n", cuts=[1, 2])
@example(body=b'{"a": "\\\\"}"\\""12 3[{}]', cuts=list(range(30)))
@example(body=b'[1,2]{"a":1}x', cuts=[6, 12])
def test_any_split_gives_the_same(kind: str, body: bytes, cuts: list[int]) -> None:
    """Whole, cut anywhere, and byte by byte: the same items and the same failure."""
    make = DECODERS[kind]
    items, failure = decode(make(), [body])
    expected = (joined(kind, items), failure)
    for parts in (split(body, cuts), [bytes((byte,)) for byte in body]):
        items, failure = decode(make(), parts)
        got = (joined(kind, items), failure)
        # NaN differs from itself, so the reprs are compared; an event's own shows no data.
        assert repr(got) == repr(expected)
        if kind == "sse":
            assert got == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    values=st.lists(JSON, max_size=6),
    indent=st.sampled_from([None, 2]),
    separator=st.sampled_from(["\n", " ", "\r\n", "\n\n\t"]),
    ensure_ascii=st.booleans(),
    cuts=CUTS,
)
def test_json_values_come_whole(
    values: list[Any], indent: int | None, separator: str, ensure_ascii: bool, cuts: list[int]
) -> None:
    """Lines and pretty-printed values, split at any byte, come out as they went in."""
    text = separator.join(json.dumps(v, indent=indent, ensure_ascii=ensure_ascii) for v in values)
    body = text.encode(errors="surrogatepass" if ensure_ascii else "replace")
    expected = values if ensure_ascii else [json.loads(json.dumps(v)) for v in values]
    assert decode(JsonDecoder(), split(body, cuts)) == (expected, None)


@given(values=st.lists(st.dictionaries(st.text(max_size=4), JSON) | st.lists(JSON)), cuts=CUTS)
def test_json_objects_and_arrays_need_nothing_between(values: list[Any], cuts: list[int]) -> None:
    """Concatenated values show their own ends."""
    body = "".join(map(json.dumps, values)).encode()
    assert decode(JsonDecoder(), split(body, cuts)) == (values, None)


def test_json_is_given_as_soon_as_it_is_whole() -> None:
    """An object is not held back until the next byte; a number is, which may go on."""
    decoder = JsonDecoder()
    assert decoder.feed(b'{"a"') == []
    assert decoder.feed(b": 1}") == [{"a": 1}]
    assert decoder.feed(b"12") == []
    assert decoder.feed(b"3\n") == [123]
    assert decoder.finish() == []


def test_json_in_many_pieces_costs_no_more_than_its_bytes() -> None:
    """A large value in small pieces is looked at once: a million pieces would not end else."""
    value = {"rows": [[n, str(n)] for n in range(40_000)]}
    body = json.dumps(value).encode()
    parts = [body[at : at + 8] for at in range(0, len(body), 8)]
    assert decode(JsonDecoder(), parts) == ([value], None)


@pytest.mark.parametrize(
    ("body", "items", "problem"),
    [
        (b'{"a":1}\nsecret', [{"a": 1}], "No JSON value begins at character 8"),
        (b'{"a":1}}', [{"a": 1}], "No JSON value begins at character 7"),
        (b"1,2", [], "JSON value 1 of the payload is not valid at character 1."),
        (b'1 {"a": secret}', [1], "JSON value 2 of the payload is not valid at character 8."),
        (b'1 {"a": "secret', [1], "ends after 15 characters, inside JSON value 2, which begins"),
        (b'"secret\\', [], "ends after 8 characters, inside JSON value 1, which begins"),
        (b"1 secret\xff", [1], "No JSON value begins at character 2"),
        (b'1 "\xff"', [1], "Byte 3 of the payload is not valid utf-8."),
        (b'"\xe2\x82', [], "ends inside a character of utf-8, after byte 2."),
        (b"[" * 200_000 + b"]" * 200_000, [], "JSON value 1 of the payload is not valid"),
        (b"1" * 5000 + b"x", [], "JSON value 1 of the payload is not valid"),
    ],
)
def test_what_is_not_json_is_told_by_place(body: bytes, items: list[Any], problem: str) -> None:
    """The position is told; the payload is not."""
    got, failure = decode(JsonDecoder(), [body])
    assert got == items
    assert failure is not None
    assert problem in failure
    assert "secret" not in failure


def test_json_is_liberal_where_models_are() -> None:
    """A byte-order mark, NaN, blank lines, nothing at all."""
    assert decode(JsonDecoder(), [codecs.BOM_UTF8 + b"\n\n[1]\n\n"]) == ([[1]], None)
    assert str(decode(JsonDecoder(), [b"NaN -Infinity"])[0]) == "[nan, -inf]"
    assert decode(JsonDecoder(), [b" \n"]) == ([], None)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\rc\n\rd", ["a", "b", "c", "", "d"]),
        (b"a\r", ["a"]),
        ("a\u2028b\x85c\x0bd\n".encode(), ["a\u2028b\x85c\x0bd"]),
    ],
)
def test_lines_end_as_in_files(body: bytes, lines: list[str]) -> None:
    """LF, CRLF or CR, and nothing else; a last line without an end is delivered."""
    assert decode(LineDecoder(), [body]) == (lines, None)


def test_a_line_is_given_at_its_cr() -> None:
    """It does not wait to see whether LF follows."""
    decoder = LineDecoder()
    assert decoder.feed(b"a\r") == ["a"]
    assert decoder.feed(b"\nb\n") == ["b"]


TWO = ("message", "2", "", None)


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: x\n\n", [("message", "x", "", None)]),
        (b"data:x\ndata:  y\ndata\n\n", [("message", "x\n y\n", "", None)]),
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [("add", "1", "", None), TWO]),
        (b"id: 7\ndata: 1\n\nid\ndata: 2\n\n", [("message", "1", "7", None), TWO]),
        (b"id: 7\ndata: 1\n\ndata: 1\n\n", [("message", "1", "7", None)] * 2),
        (b"id: 7\nid: a\0b\nid\ndata: 1\n\n", [("message", "1", "", None)]),
        (b"retry: 10\nretry: 1s\nretry: -1\ndata: 1\n\n", [("message", "1", "", 10)]),
        (": comment\n:\ndata: é\r\n\r\n".encode(), [("message", "é", "", None)]),
        (b"event: lost\nid: 3\n\ndata\n\n", [("message", "", "3", None)]),
        (codecs.BOM_UTF8 + b"data: 2\r\rdata: 2\r\r", [TWO, TWO]),
        (b"other: x\nDATA: x\n data: x\n\n", []),
        (b"data: {\ndata: }\n\n", [("message", "{\n}", "", None)]),
        (b"data: unterminated", [("message", "unterminated", "", None)]),
        (b"event: x\nid: 1\n", []),
    ],
)
def test_server_sent_events(body: bytes, events: list[tuple[str, str, str, int | None]]) -> None:
    """The rules of the WHATWG standard; an event without its blank line at the end is given."""
    expected = [ServerSentEvent(event=e, data=d, id=i, retry=r) for e, d, i, r in events]
    assert decode(ServerSentEventDecoder(), [body]) == (expected, None)


def test_an_events_repr_has_no_data() -> None:
    """Payload is in no repr."""
    event = ServerSentEvent(event="message", data="secret", id="", retry=None)
    assert repr(event) == "ServerSentEvent(event='message', data=<6 characters>)"


def test_chat_chunks_end_at_done() -> None:
    """The JSON of each event's data; what follows [DONE] is not looked at."""
    body = b': hi\n\ndata: {"n": 1}\n\ndata: {"n": 2}\n\ndata: [DONE]\n\ndata: secret\xff\n\n'
    decoder = ChatChunkDecoder()
    assert decode(decoder, [body]) == ([{"n": 1}, {"n": 2}], None)
    assert decoder.done


def test_chat_chunks_that_are_not_json_are_told_by_place() -> None:
    """Which event, where in it, never what."""
    items, failure = decode(ChatChunkDecoder(), [b"data: 1\n\ndata: [1,secret]\n\n"])
    assert items == [1]
    assert failure == (
        "The data of server-sent event 2 is not valid JSON at character 3.\n"
        "Remedy: read it with sse(), which leaves the data as it is.\n"
        "See docs/errors.md#payload"
    )


def test_a_failed_decoder_stays_failed() -> None:
    """What came before the failure is given; then every call raises."""
    decoder = LineDecoder()
    assert decoder.feed(b"a\n\xff") == ["a"]
    for call in (decoder.check, decoder.finish, lambda: decoder.feed(b"b\n")):
        with pytest.raises(PayloadError, match="Byte 2 of the payload is not valid utf-8"):
            call()


@pytest.mark.parametrize("encoding", ["no-such", "hex"])
def test_unknown_encodings_are_refused(encoding: str) -> None:
    """Before anything is read."""
    answer = Answer(b"a")
    with pytest.raises(ConfigurationError, match="is not a text encoding that Python knows"):
        ResponseStream(answer).text(encoding)
    assert answer.given == 0


@pytest.mark.parametrize(
    ("method", "items"),
    [
        ("bytes", [b'data: {"a":\n', b"data: 1}\n"]),
        ("text", ['data: {"a":\n', "data: 1}\n"]),
        ("lines", ['data: {"a":', "data: 1}"]),
        ("sse", [ServerSentEvent(event="message", data='{"a":\n1}', id="", retry=None)]),
        ("chat_chunks", [{"a": 1}]),
    ],
)
def test_a_stream_is_read_in_five_ways(method: str, items: list[Any]) -> None:
    """Each is an iterator, and reading to the end closes the answer once."""
    answer = Answer(b'data: {"a":\n', b"data: 1}\n")
    stream = ResponseStream(answer)
    assert list(getattr(stream, method)()) == items
    stream.close()
    assert (answer.closes, stream.closed) == (1, True)


def test_a_stream_of_json() -> None:
    """The sixth way."""
    assert list(ResponseStream(Answer(b'{"a"', b': "\xc3', b'\xa9"} 1')).json()) == [{"a": "é"}, 1]


def test_what_a_stream_knows() -> None:
    """The head's members, what was counted, and seconds to the first byte by the given clock."""
    ticks = iter([12.5])
    answer = Answer(
        b"",
        b"ab",
        b"c",
        members={
            "ContentType": "text/plain",
            "InvokedProductionVariant": "blue",
            "CustomAttributes": "secret",
        },
    )
    stream = ResponseStream(answer, started=10.0, clock=lambda: next(ticks))
    assert (stream.content_type, stream.invoked_production_variant) == ("text/plain", "blue")
    assert (stream.custom_attributes, stream.request_id) == ("secret", "r-1")
    assert stream.availability_zone == "us-east-1a"
    assert (stream.time_to_first_byte, stream.parts_received, stream.bytes_received) == (None, 0, 0)
    assert b"".join(stream.bytes()) == b"abc"
    assert (stream.time_to_first_byte, stream.parts_received, stream.bytes_received) == (2.5, 3, 3)
    assert repr(stream) == (
        "ResponseStream(content_type='text/plain', parts_received=3, bytes_received=3)"
    )


def test_time_runs_from_the_streams_making_by_default() -> None:
    """Where no start is given."""
    ticks = iter([1.0, 4.0])
    stream = ResponseStream(Answer(b"a"), clock=lambda: next(ticks))
    list(stream.bytes())
    assert stream.time_to_first_byte == 3.0
    assert ResponseStream(Answer()).content_type is None


@pytest.mark.parametrize("method", ["bytes", "text", "lines", "json", "sse", "chat_chunks"])
def test_a_stream_is_read_once(method: str) -> None:
    """A second reader is refused at the call, and the first one goes on."""
    stream = ResponseStream(Answer(b"a\n", b"b\n"))
    lines = stream.lines()
    with pytest.raises(StreamError) as caught:
        getattr(stream, method)()
    assert str(caught.value) == (
        f"{method}() cannot read this response stream: lines() does or did.\n"
        "Cause: the parts of a stream come once and are not kept.\n"
        "Remedy: go on with the iterator that lines() gave, or stream again.\n"
        "See docs/errors.md#stream"
    )
    assert list(lines) == ["a", "b"]


def model_stream_error() -> ClientError:
    return ClientError({"Error": {"Code": "ModelStreamError", "Message": "m"}}, "Invoke")


@pytest.mark.parametrize(
    ("method", "items"),
    [
        ("bytes", [b'{"a":1}\n', b"12"]),
        ("text", ['{"a":1}\n', "12"]),
        ("lines", ['{"a":1}']),
        ("json", [{"a": 1}]),
    ],
)
@pytest.mark.parametrize(
    "error", [model_stream_error(), StreamInterruptedError("cut", parts_received=2)]
)
def test_what_arrived_comes_before_the_error(
    method: str, items: list[Any], error: Exception
) -> None:
    """Whole items are given, a piece of one is not; the invoker's own error counts what came."""
    answer = Answer(b'{"a":1}\n', b"12", error=error)
    got: list[Any] = []

    def read() -> None:
        for item in getattr(ResponseStream(answer), method)():
            got.append(item)  # noqa: PERF402 - list() would lose them

    with pytest.raises(type(error)) as caught:
        read()
    assert caught.value is error
    assert vars(error)["parts_received"] == 2
    assert vars(error)["bytes_received"] == 10
    assert (got, answer.closes) == (items, 1)


def test_bad_bytes_close_the_answer_and_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A PayloadError after the whole items, and not a word of the payload anywhere."""
    answer = Answer(b"secret\n", b"\xff", b"never read")
    with caplog.at_level(logging.DEBUG), pytest.raises(PayloadError) as caught:
        list(ResponseStream(answer).lines())
    assert "secret" not in str(caught.value) + caplog.text
    assert (answer.given, answer.closes) == (2, 1)


def leave_by_block(stream: ResponseStream) -> None:
    with stream:
        next(stream.lines())


def leave_by_close(stream: ResponseStream) -> None:
    lines = stream.lines()
    next(lines)
    stream.close()
    with pytest.raises(StreamError, match="The response stream was closed after 1 parts"):
        next(lines)


def leave_by_generator(stream: ResponseStream) -> None:
    lines = stream.lines()
    next(lines)
    lines.close()


def leave_by_exception(stream: ResponseStream) -> None:
    def reads() -> None:
        with stream:
            for _ in stream.lines():
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        reads()


def leave_by_dropping(stream: ResponseStream) -> None:
    lines = stream.lines()
    next(lines)
    del lines
    gc.collect()


def leave_unread(stream: ResponseStream) -> None:
    with stream:
        pass
    with pytest.raises(StreamError, match="The response stream was closed after 0 parts"):
        stream.lines()


@pytest.mark.parametrize(
    "leave",
    [
        leave_by_block,
        leave_by_close,
        leave_by_generator,
        leave_by_exception,
        leave_by_dropping,
        leave_unread,
    ],
)
def test_leaving_early_closes_the_answer_once(leave: Callable[[ResponseStream], None]) -> None:
    """Every way out closes it, and reads no further part."""
    answer = Answer(b"a\n", b"b\n", b"c\n")
    stream = ResponseStream(answer)
    leave(stream)
    stream.close()
    assert (answer.closes, stream.closed) == (1, True)
    assert answer.given <= 1


@pytest.mark.parametrize("begun", [True, False])
def test_a_stream_that_nobody_holds_is_closed(begun: bool) -> None:
    """Garbage collection closes the answer, read or not."""
    answer = Answer(b"a")
    stream = ResponseStream(answer)
    if begun:
        stream.lines()  # an iterator that was never asked for an item
    del stream
    gc.collect()
    assert answer.closes == 1


def test_done_closes_without_reading_on() -> None:
    """A chat stream ends at [DONE], whether or not the server does."""
    answer = Answer(b"data: 1\n\ndata: [DONE]\n\n", b"data: 2\n\n")
    assert list(ResponseStream(answer).chat_chunks()) == [1]
    assert (answer.given, answer.closes) == (1, 1)
