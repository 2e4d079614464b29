"""Which files of a root a source reads."""

import pytest

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.families.files import find_files


def test_files_by_published_name_then_by_suffix(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("renamed.json", "sub/deep.json", ".hidden.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    root = Location.of(tmp_path)
    assert find_files(root, ("chat.json",), (".json",)) == ("renamed.json",)
    assert find_files(root, ("*/deep.json",), (".json",)) == ("sub/deep.json",)
    with pytest.raises(SourceError, match=r"expected one of: chat\.json, \*\.csv"):
        find_files(root, ("chat.json",), (".csv",))
