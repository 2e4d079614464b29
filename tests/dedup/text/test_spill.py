"""Columns to arrays and back, without pandas; and folders that go as a whole."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from infinity_mm.dedup.text import spill
from infinity_mm.fs import Location


@pytest.mark.parametrize("kind", ["uint64", "int64", "int32", "uint16", "float64"])
def test_numbers_there_and_back(kind):
    values = np.array([[3, 0], [250, 0], [7, 0]], kind)[:, 0]
    column = spill.column(values)
    assert column.to_pylist() == values.tolist()
    assert spill.flat(column.slice(1)).tolist() == [250, 7]
    assert spill.flat(column).dtype == values.dtype
    table = pa.table({"x": pa.chunked_array([column, column.slice(2), column.slice(3)])})
    assert spill.numbers(table, "x").tolist() == [3, 250, 7, 7]
    assert spill.numbers(table.slice(3), "x").tolist() == [7]
    assert spill.numbers(table.slice(4), "x").tolist() == []


def test_which_values_are_valid():
    column = pa.array(["a", None, "b", None, None, "c", "d", "e", "f", None, "g"])
    assert spill.valid(column).tolist() == [value is not None for value in column.to_pylist()]
    assert spill.valid(column.slice(3, 5)).tolist() == [False, False, True, True, True]
    assert spill.valid(column.slice(5, 2)).tolist() == [True, True]


def test_an_empty_table_is_read_back(tmp_path):
    place = Location.of(tmp_path / "empty.arrow")
    spill.write_table(place, pa.table({"row": pa.array([], pa.int64()), "id": pa.array([], pa.string())}), {"n": 5})
    reader = spill.reading(place)
    assert reader.num_record_batches == 1
    assert spill.numbers(reader.get_batch(0), "row").tolist() == []
    assert spill.notes_of(place) == {"n": 5}


def test_discarding_leaves_nothing_half_there(tmp_path, monkeypatch):
    """Killed while it deletes, a run leaves a folder of another name."""
    kept = spill.Spill(Location.of(tmp_path / "name"))
    (tmp_path / "name/keys").mkdir(parents=True)
    (tmp_path / "name/keys/00000.arrow").write_bytes(b"x")
    deleted = []
    with monkeypatch.context() as patch:
        patch.setattr(Location, "delete_dir", lambda self: deleted.append(self.name))
        kept.discard()
    assert deleted == [".tmp-name", ".tmp-name"]
    assert not (tmp_path / "name").exists()
    (tmp_path / "name/texts").mkdir(parents=True)
    kept.discard()
    kept.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_job_does_not_import_pandas(tmp_path):
    """Half a second of work, where it is installed."""
    program = (
        "import sys\n"
        "import numpy as np, pyarrow as pa, pyarrow.parquet as pq\n"
        "from infinity_mm.cli.main import main\n"
        "columns = [pa.py_buffer(np.arange(5).tobytes()), pa.py_buffer(b'abcd')]\n"
        "texts = pa.LargeStringArray.from_buffers(4, *columns)\n"
        "pq.write_table(pa.table([texts, texts], names=['id', 'text']), sys.argv[1] + '/in.parquet')\n"
        "arguments = 'dedup text --text-column text --id-column id --input in.parquet --out out'.split()\n"
        "arguments[-3], arguments[-1] = f'{sys.argv[1]}/in.parquet', f'{sys.argv[1]}/out'\n"
        "try:\n    main(arguments)\nexcept SystemExit as ended:\n    assert ended.code == 0\n"
        "assert 'pandas' not in sys.modules and 'scipy.linalg' not in sys.modules\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
