"""Which files and members are pictures, archives that are opened, and archives that are not."""

import pytest

from infinity_mm.sources.families.picking import is_taken, is_unopened_archive, is_visible


@pytest.mark.parametrize("name", ["a.tar.gz", "A.TGZ", "b/c.7z", "x.zip.001", "x.z01", "x.tar.gz_part3", "x.tar.aa"])
def test_archives_that_are_not_opened(name):
    assert is_unopened_archive(name)
    assert is_taken(name)


@pytest.mark.parametrize(
    "name", ["a.zip", "a.tar", "a.tar.md5", "a.zip.txt", "rows.jsonl.gz", "tgz", "a.targz", "a.zip.json"]
)
def test_files_that_are_no_such_archives(name):
    assert not is_unopened_archive(name)


def test_dots_that_stand_for_folders_hide_nothing():
    assert all(is_visible(name) for name in ("a.png", "./a.png", "../a.png", "a/./b.png"))
    assert not any(is_visible(name) for name in (".a.png", "./.a/b.png", "._a.png", "__MACOSX/a.png"))
    assert is_taken("./a.png")
    assert not is_taken("./._a.png")
