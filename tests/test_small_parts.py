"""Keyed draws, fingerprints, nearest names, the lock, status and doctor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.doctor import examine
from infinity_mm.errors import StoreError, UsageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.keyed import keyed_u64, keyed_unit
from infinity_mm.lock import exclusive
from infinity_mm.nearest import nearest
from infinity_mm.record import record_id
from infinity_mm.status import read_status
from infinity_mm.store import Store


@given(st.integers(), st.text(max_size=9), st.text(max_size=9))
def test_a_draw_depends_on_seed_purpose_and_key(seed, purpose, key):
    value = keyed_unit(seed, purpose, key)
    assert 0 <= value < 1
    assert value == keyed_unit(seed, purpose, key)
    assert keyed_u64(seed, purpose, key) != keyed_u64(seed + 1, purpose, key)


def test_draws_are_uniform_and_purposes_independent():
    draws = [keyed_unit(1, "a", str(n)) for n in range(4000)]
    assert sum(draws) / 4000 == pytest.approx(0.5, abs=0.02)
    both = sum(d < 0.5 and keyed_unit(1, "b", str(n)) < 0.5 for n, d in enumerate(draws))
    assert both / 4000 == pytest.approx(0.25, abs=0.03)


def test_fingerprints_name_the_description_not_its_spelling():
    assert fingerprint({"a": 1, "b": (2,)}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint("a", "b") != fingerprint("ab")
    with pytest.raises(TypeError):
        fingerprint(object())


def test_ids_do_not_depend_on_position():
    assert record_id("s", "f", "k") == record_id("s", "f", "k", 0)
    assert len({record_id("s", "f", "k", n) for n in range(5)}) == 5
    assert record_id("s", "fk", "") != record_id("s", "f", "k")


def test_nearest_names():
    assert nearest("imgae", ["image", "text"]) == "did you mean 'image'?"
    assert nearest("zzz", ["image", "text"]) == "known names: image, text"


def test_one_run_per_folder(tmp_path):
    work = Location.of(tmp_path / "w")
    with exclusive(work), pytest.raises(StoreError, match="another run is using"), exclusive(work):
        pass
    with exclusive(work):
        pass


def test_status_of_a_stopped_and_of_a_running_run(tmp_path):
    store = Store(Location.of(tmp_path))
    with pytest.raises(UsageError, match="is no run folder"):
        read_status(store)
    store.at("state/passes/ingest.json").write_bytes(b'{"stage": "ingest", "tasks": [["a/x"], ["a/y", "a/z"]]}')
    store.at("a/x").write_bytes(b"")
    store.at("a/y").write_bytes(b"")
    found = read_status(store)
    assert (found.state, found.passes[0].done, found.passes[0].total) == ("stopped", 1, 2)
    with exclusive(store.work):
        assert read_status(store).state == "running"
    store.at("manifest.json").write_bytes(b"{}")
    assert read_status(store).state == "finished"


def test_doctor_looks_at_everything_a_run_needs():
    found = {finding.what: finding for finding in examine()}
    assert {"python", "memory", "disk", "ray", "gpu", "model engine", "webdataset", "datasets"} <= set(found)
    assert found["ray"].state == found["python"].state == "ok"
