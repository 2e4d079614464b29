"""WebDataset tars: cuts, repeats, damage."""

import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.families.tars import TarRows
from tests.sources.archives import make_tar
from tests.sources.reading import same_for_all_sizes


def test_tar_samples(tmp_path):
    label = b'{"id": "1", "phash": [18068869667165728448]}'
    members = [
        ("./0.json", label),
        ("./0.jpg", b"jpg"),
        ("1.json", label),
        ("1.jpg", b""),
        ("2.json", b"{"),
        ("3.png", b"x"),
    ]
    make_tar(tmp_path / "a.tar", members)
    found = same_for_all_sizes(TarRows(), tmp_path)
    assert [(f[1], f[5]) for f in found] == [
        ("member=0.json", None),
        ("member=1.json", None),
        ("member=2.json", "malformed_json"),
        ("member=3.json", "unexpected_row"),
    ]
    assert found[0][4]["images"] == [("./0.jpg", b"jpg")]
    assert found[1][4]["images"] == []  # an empty picture means that there is none
    assert found[0][4]["json"]["phash"] == [18068869667165728448]


@pytest.mark.parametrize("keep", [700, 1100, 1600, 2500])
def test_a_cut_tar_keeps_the_samples_before_the_cut(tmp_path, keep):
    make_tar(tmp_path / "a.tar", [(f"{n}.{kind}", b"{}" * 300) for n in range(3) for kind in ("json", "jpg")])
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:keep])
    reasons = [f[5] for f in same_for_all_sizes(TarRows(), tmp_path)]
    assert reasons[-1] == "malformed_archive"
    assert "malformed_archive" not in reasons[:-1]


def test_a_sample_that_is_packed_twice_is_two_rows(tmp_path):
    names = ["a.json", "a.png", "a.json", "a.png", "b.json", "a.json"]
    make_tar(tmp_path / "a.tar", [(name, b'{"n": %d}' % n) for n, name in enumerate(names)])
    found = same_for_all_sizes(TarRows(), tmp_path)
    assert [(f[3], f[4]["json"]["n"], len(f[4]["images"])) for f in found] == [
        (0, 0, 1),
        (1, 2, 1),
        (0, 4, 0),
        (2, 5, 0),
    ]


def test_a_name_that_is_no_text_is_escaped(tmp_path):
    make_tar(tmp_path / "a.tar", [("b.json", b"{}"), ("caf\udce9.json", b"{}"), ("caf\udce8.json", b"{}")])
    found = same_for_all_sizes(TarRows(), tmp_path)
    assert [f[1] for f in found] == ["member=b.json", "member=caf\\xe9.json", "member=caf\\xe8.json"]


@pytest.mark.parametrize(
    "size", [b"\xff" * 8 + (-1024).to_bytes(4, "big", signed=True), b"\x80" + (1 << 45).to_bytes(11, "big")]
)
def test_a_header_that_lies_about_its_size_damages_the_archive_and_nothing_else(tmp_path, size):
    make_tar(tmp_path / "a.tar", [(f"{n}.json", b"{}") for n in range(3)])
    content = bytearray((tmp_path / "a.tar").read_bytes())
    header = content[1024:1536]
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[1024:1536] = header
    (tmp_path / "a.tar").write_bytes(content)
    assert [(f[1], f[5]) for f in same_for_all_sizes(TarRows(), tmp_path)] == [
        ("member=0.json", None),
        ("member=1.json", "malformed_archive"),
    ]


def test_a_corrected_label_of_the_same_length_changes_the_digest(tmp_path):
    digests = []
    for label in (b'{"n": 1}', b'{"n": 2}'):
        make_tar(tmp_path / "a.tar", [("a.json", label), ("a.png", b"x")])
        digests.append(TarRows().plan(Location.of(tmp_path), ("*.tar",), Location.of(tmp_path) / ".p", 9).files)
    assert digests[0] != digests[1]
