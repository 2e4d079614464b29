"""The benchmark of the synthesis: its requests are the pipeline's own, and its pictures are seeded."""

from benchmarks import synthesis
from infinity_mm.fs import Location
from infinity_mm.pipeline.parents import read_parents
from infinity_mm.store import Store


def test_pictures_are_a_function_of_their_number_and_partitions_cover_them(tmp_path):
    for name in ("one", "other"):
        synthesis.draw_pictures(tmp_path / name, 70)
    tasks = synthesis.tasks_of(Location.of(tmp_path / "one").uri, 70, 32)
    places = [place for task in tasks for place in task.places]
    assert [len(task.places) for task in tasks] == [32, 32, 6]
    assert len(places) == len(set(places)) == 70
    one, other = (read_parents(Store(Location.of(tmp_path / name)), tuple(places)) for name in ("one", "other"))
    assert one == other
    assert len({parent.data for parent in one}) == 70


def test_parameters_are_those_of_the_published_recipe():
    params = synthesis.parameters(cache=False)
    assert (params.model.name, params.model.engine, params.cache) == ("embedded", "vllm", False)
    assert params.checks.any
    assert params.offer.mapping is not None
    assert synthesis.PICTURES * 13 >= synthesis.BAR_REQUESTS


def test_the_table_compares_with_the_engine_alone():
    alone = synthesis.Taken(100, 10.0, 9.0, 400, 30.0, {"a": "x", "b": "y"})
    ours = synthesis.Taken(100, 12.5, 11.0, 400, 31.0, {"a": "x", "b": "z"})
    table = synthesis.table_of({"alone": [alone], "pipeline": [ours, ours]})
    assert list(table.columns[3].cells) == ["1.00", "0.80"]
    assert list(table.columns[6].cells) == ["2", "1"]
