"""Micro-batching: items joined into one payload, its answer split among them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.inference.mapping.window import (
    ROWS,
    Batch,
    Combine,
    Item,
    combine_from,
)


def batch_of(*items: Any) -> Batch[Any, Any]:
    batch: Batch[Any, Any] = Batch()
    batch.items = [Item(index, item) for index, item in enumerate(items)]
    return batch


@given(st.lists(st.integers(), min_size=1, max_size=50))
def test_rows_go_in_as_a_list_and_come_out_as_one(items: list[int]) -> None:
    """Each item gets the answer that stands where it stood."""
    batch = batch_of(*items)
    payload = batch.join(ROWS)
    assert payload == items
    batch.split(ROWS, [item * 2 for item in payload])
    assert [item.outcome for item in batch.items] == [item * 2 for item in items]
    assert all(item.is_known and not item.is_error for item in batch.items)


def test_without_a_combine_the_item_is_the_payload() -> None:
    """A batch of one that nothing is said about is not wrapped in a list."""
    batch = batch_of({"a": 1})
    assert batch.join(None) == {"a": 1}
    batch.split(None, "answer")
    assert batch.items[0].outcome == "answer"


@pytest.mark.parametrize("answer", [(1, 2), [1, 2]], ids=["tuple", "list"])
def test_a_tuple_counts_as_a_list(answer: Any) -> None:
    """Either is one answer an item."""
    batch = batch_of("a", "b")
    batch.split(ROWS, answer)
    assert [item.outcome for item in batch.items] == [1, 2]


def test_rows_of_an_array_are_answers() -> None:
    """A numpy array is split along its first axis."""
    numpy = pytest.importorskip("numpy")
    batch = batch_of("a", "b")
    batch.split(ROWS, numpy.array([[1, 2], [3, 4]]))
    outcomes: list[Any] = [item.outcome for item in batch.items]
    assert [list(outcome) for outcome in outcomes] == [[1, 2], [3, 4]]


@pytest.mark.parametrize("rows", [[], [1], [1, 2, 3]])
def test_another_number_of_answers_is_an_error_that_names_both(rows: list[int]) -> None:
    """No item gets the answer of another one: none gets any."""
    batch = batch_of("a", "b")
    with pytest.raises(PayloadError) as caught:
        batch.split(ROWS, rows)
    assert str(caught.value) == (
        f"A batch of 2 items was answered by {len(rows)} rows.\n"
        "Possible causes: the model drops or adds rows; it takes the batch for one input; "
        "split does not fit its answers.\n"
        "Remedy: pass combine=(join, split) that fit the model, or batch_size=1.\n"
        "See docs/errors.md#payload"
    )
    assert not any(item.is_known for item in batch.items)


@pytest.mark.parametrize("answer", [{"a": 1, "b": 2}, "ab", b"ab", None, 2, {1, 2}], ids=repr)
def test_what_is_no_list_is_not_split(answer: Any) -> None:
    """Text, mappings and the like have a length too, but not one element an item."""
    with pytest.raises(PayloadError) as caught:
        batch_of("a", "b").split(ROWS, answer)
    assert str(caught.value).splitlines()[0] == (
        f"The answer to a batch of 2 items is a {type(answer).__name__}, not a list."
    )


def test_a_table_is_not_split() -> None:
    """A pandas table would give its column names."""
    pandas = pytest.importorskip("pandas")
    with pytest.raises(PayloadError, match="is a DataFrame, not a list"):
        batch_of("a", "b").split(ROWS, pandas.DataFrame({"x": [1, 2], "y": [3, 4]}))


def test_a_pair_joins_and_splits() -> None:
    """Models with a form of their own get a pair of functions."""
    combine = combine_from(
        (lambda items: {"instances": items}, lambda answer, _count: answer["predictions"]),
        batch_size=2,
    )
    batch = batch_of("a", "b")
    assert batch.join(combine) == {"instances": ["a", "b"]}
    batch.split(combine, {"predictions": [1, 2]})
    assert [item.outcome for item in batch.items] == [1, 2]


def test_what_a_combine_can_be() -> None:
    """Nothing means rows; a Combine is itself."""
    combine = Combine(join=tuple, split=lambda answer, _count: answer)
    assert combine_from(None, batch_size=2) is ROWS
    assert combine_from(None, batch_size=1) is None
    assert combine_from(combine, batch_size=1) is combine


@pytest.mark.parametrize("value", ["rows", (len,), (len, 1), (len, len, len), [len, len], len])
def test_what_is_no_combine_is_refused(value: Any) -> None:
    """Before anything is called."""
    with pytest.raises(ConfigurationError) as caught:
        combine_from(value, batch_size=1)
    assert str(caught.value).splitlines()[:3] == [
        f"combine= cannot be a {type(value).__name__}.",
        "Cause: it is neither a Combine nor a pair of callables.",
        "Remedy: pass Combine(join=…, split=…), or (join, split).",
    ]


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "8", None])
def test_what_is_no_batch_size_is_refused(value: Any) -> None:
    """Only whole numbers from 1 up pass."""
    with pytest.raises(ConfigurationError) as caught:
        combine_from(None, batch_size=value)
    assert str(caught.value).splitlines()[0] == f"batch_size={value!r} cannot be used."
