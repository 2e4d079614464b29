"""What holds for every filter module; a new filter joins by adding its examples to `tests/filters/rows.py`."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.filters.base import FilterParams
from infinity_mm.filters.catalogue import load, names
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.schema import RECORDS
from tests.filters.rows import EXAMPLES, FRENCH, SENTENCE, ingested, picture, reasons, record, table, verdicts

NAMES = names()
REASONS = [(name, reason) for name in NAMES for reason in load(name).REASONS]

texts = st.text(max_size=30) | st.sampled_from(
    [
        "",
        " \n",
        "yes",
        IMAGE_TOKEN,
        f"{IMAGE_TOKEN}\nWhat?",
        FRENCH,
        "cafÃ©\x00",
        "是的，这是一只猫。",
        (SENTENCE + " ") * 6,
    ]
)
turns = st.tuples(st.sampled_from(["system", "user", "assistant"]), texts)
records = st.builds(
    lambda turns, images, category: record(*turns, images=images, category=category),
    st.lists(turns, max_size=5),
    st.integers(0, 3),
    st.sampled_from(["general", "interleaved"]),
)
pictures = st.builds(
    lambda width, height, frames, spread, mode: picture(
        width=width, height=height, frames=frames, luma_std=spread, mode=mode
    ),
    st.integers(1, 20_000),
    st.integers(1, 300),
    st.integers(1, 3),
    st.floats(0, 127.5, width=32),
    st.sampled_from(["RGB", "L", "HSV"]),
)


def batch_of(name: str, draw: st.DataObject) -> pa.Table:
    """A batch of what the filter begins with: records, or ingest attributes."""
    if load(name).FROM == ("ingest",):
        return ingested(*draw.draw(st.lists(st.lists(pictures, max_size=3), max_size=6)))
    return table(*draw.draw(st.lists(records, max_size=6)))


@pytest.mark.parametrize("name", NAMES)
def test_the_module_declares_all_of_the_contract(name: str) -> None:
    module = load(name)
    assert name == module.NAME
    assert module.VERSION >= 1
    assert set(module.READS) <= set(RECORDS.names) - {"image_bytes"}
    assert module.FROM
    assert module.ATTRIBUTES.names[0] == "id"
    assert module.REASONS
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", reason) for reason in module.REASONS)
    assert issubclass(module.Params, FilterParams)
    assert set(module.Params.model_fields) >= module.Params.MEASURED
    assert inspect.getdoc(module)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_verdicts_pickle(name: str) -> None:
    module = load(name)
    params = module.Params()
    returned = pickle.loads(pickle.dumps((params, module.measure, module.judge)))
    assert returned == (params, module.measure, module.judge)
    with pytest.raises(ValueError, match="Extra inputs"):
        module.Params(no_such_threshold=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(("name", "reason"), REASONS)
def test_every_reason_is_reachable_and_has_a_near_miss(name: str, reason: str) -> None:
    drops, keeps = EXAMPLES[name][reason]
    assert set(reasons(load(name), drops)) == {reason}
    assert set(reasons(load(name), keeps)) == {None}


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_of_declared_reasons(name: str) -> None:
    assert set(EXAMPLES[name]) == set(load(name).REASONS)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_one_row_per_record_in_order_and_same_in_same_out(name: str, draw: st.DataObject) -> None:
    module, given_batch = load(name), batch_of(name, draw)
    params = module.Params()
    if module.READS:
        measured = module.measure(given_batch.select(list(module.READS)), params)
        assert measured.schema == module.ATTRIBUTES
        assert measured.column("id").to_pylist() == given_batch.column("id").to_pylist()
        assert measured.equals(module.measure(given_batch.select(list(module.READS)), params))
    found = verdicts(module, given_batch)
    assert len(found) == given_batch.num_rows
    assert found == verdicts(module, given_batch)
    assert {v.reason for v in found if v} <= set(module.REASONS)
    assert all(v.detail for v in found if v)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_split_invariance(name: str, draw: st.DataObject) -> None:
    """f(a + b) = f(a) + f(b), for slices, for copies, and for tables in chunks."""
    module, whole = load(name), batch_of(name, draw)
    cut = draw.draw(st.integers(0, whole.num_rows))
    parts = [whole.slice(0, cut), whole.slice(cut)]
    expected = verdicts(module, whole)
    assert [v for part in parts for v in verdicts(module, part)] == expected
    assert verdicts(module, pa.concat_tables(parts)) == expected
    if module.READS:
        params = module.Params()
        measured = [module.measure(part.select(list(module.READS)), params) for part in parts]
        assert pa.concat_tables(measured).equals(module.measure(whole.select(list(module.READS)), params))


@pytest.mark.parametrize("name", NAMES)
def test_empty_input_gives_an_empty_table_of_the_schema(name: str) -> None:
    module = load(name)
    measured = module.measure(RECORDS.empty_table().select(list(module.READS) or ["id"]), module.Params())
    assert (measured.schema, measured.num_rows) == (module.ATTRIBUTES, 0)
    assert list(module.judge(ingested() if module.FROM == ("ingest",) else measured, module.Params())) == []


def changed(module: Any) -> FilterParams:
    """Parameters with every threshold that `measure` must not depend on moved."""
    values: dict[str, Any] = module.Params().model_dump()
    for key, value in values.items():
        if key in module.Params.MEASURED:
            continue
        if isinstance(value, tuple | list):
            values[key] = value[:1]
        elif isinstance(value, float):
            values[key] = value / 2 if value <= 1 else value * 2
        elif isinstance(value, int):
            values[key] = value + 1
    return module.Params(**values)


@pytest.mark.parametrize("name", NAMES)
def test_measurements_do_not_depend_on_thresholds(name: str) -> None:
    module = load(name)
    if not module.READS:
        pytest.skip("judged from ingest attributes")
    other = changed(module)
    assert other != module.Params()
    for drops, keeps in EXAMPLES[name].values():
        for example in (drops, keeps):
            batch = example.select(list(module.READS))
            assert module.measure(batch, module.Params()).equals(module.measure(batch, other))
