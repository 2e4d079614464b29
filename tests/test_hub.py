"""Addresses on the hub."""

import pytest

from infinity_mm.errors import SourceError
from infinity_mm.hub import HubRoot, commit_of, parse_hub


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://datasets/o/n", HubRoot("o/n", "main", "")),
        ("hf://datasets/o/n/data/x", HubRoot("o/n", "main", "/data/x")),
        ("hf://datasets/o/n@v1/data", HubRoot("o/n", "v1", "/data")),
        ("hf://datasets/o/n@refs/convert/parquet/x", HubRoot("o/n", "refs/convert/parquet", "/x")),
        ("hf://datasets/o/n@a%2Fb/x", HubRoot("o/n", "a/b", "/x")),
    ],
)
def test_parts_of_an_address(uri, expected):
    assert parse_hub(uri) == expected
    assert parse_hub(expected.at(expected.revision)) == expected


@pytest.mark.parametrize("uri", ["hf://o/n", "hf://datasets/o", "hf://spaces/o/n", "hf://datasets/o/n@"])
def test_what_is_no_data_set(uri):
    with pytest.raises(SourceError, match="expected hf://datasets/OWNER/NAME"):
        parse_hub(uri)


def test_only_a_whole_commit_pins():
    assert commit_of(f"hf://datasets/o/n@{'a' * 40}/x") == "a" * 40
    assert commit_of("hf://datasets/o/n@main") == ""
    assert commit_of("file:///data") == ""
