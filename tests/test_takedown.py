import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import RecipeError
from infinity_mm.fs import Location
from infinity_mm.takedown import TakedownFile, located, parse_takedown, read_takedowns

ID, SHA = "0a" * 16, "0B" * 32


def test_each_line_is_known_by_its_form():
    found = parse_takedown(f"\ufeff# asked for by mail\n{ID}\n\n  {SHA}  \r\nhttps://a.example/x.jpg?b#c\n", "list.txt")
    assert found.ids == {ID}
    assert found.hashes == {SHA.lower()}
    assert found.urls == {"https://a.example/x.jpg?b#c"}


def test_a_line_of_no_known_form_is_refused_with_its_number():
    with pytest.raises(RecipeError, match=r"list.txt: 2 lines are no takedown: .*line 2: 'a.jpg'; line 3: '0a0a'"):
        parse_takedown(f"{ID}\na.jpg\n0a0a\n", "list.txt")


def test_what_is_named_is_said():
    found = parse_takedown(f"{ID}\n{SHA}\nhttp://a/b\n", "list.txt")
    assert found.reason(ID, [], []) == f"id {ID}"
    assert found.reason("f" * 32, ["x.jpg", "http://a/b"], []) == "url http://a/b"
    assert found.reason("f" * 32, ["http://a/b/"], [SHA.lower()]) == f"sha256 {SHA.lower()}"
    assert found.reason("f" * 32, ["http://a/b/"], ["c" * 64]) is None


@given(
    st.lists(st.from_regex(r"[0-9a-f]{32}|[0-9a-f]{64}|https?://[a-z]{1,9}/[a-z]{0,9}", fullmatch=True)), st.randoms()
)
def test_order_and_repeats_mean_nothing(entries, rng):
    first = parse_takedown("\n".join(entries), "a")
    rng.shuffle(entries)
    second = parse_takedown("\n".join(entries + entries), "b")
    assert first == second == parse_takedown(first.text().decode(), "c")
    assert first.digest == second.digest


def test_several_lists_are_one_and_an_absent_one_is_named(tmp_path):
    (tmp_path / "a.txt").write_text(ID)
    (tmp_path / "b.txt").write_text(SHA)
    uses = [located(TakedownFile.model_validate(name), Location.of(tmp_path / name)) for name in ("a.txt", "b.txt")]
    found = read_takedowns(uses)
    assert (found.ids, found.hashes) == ({ID}, {SHA.lower()})
    assert all(use.digest for use in uses)
    with pytest.raises(RecipeError, match=r"takedown: no file at .*c\.txt"):
        located(TakedownFile(file="c.txt"), Location.of(tmp_path / "c.txt"))
