import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import RecipeError
from infinity_mm.synth.annotated import package_mapping
from infinity_mm.synth.mapping import parse_mapping
from infinity_mm.synth.tagging.params import VocabularyFile
from infinity_mm.synth.tagging.vocabulary import MOST_CHARS, package_vocabulary, parse_vocabulary, spelled

TAGS = st.lists(st.text(st.characters(categories=("Ll", "Lu", "Nd")), min_size=1, max_size=12), min_size=1)


def test_comments_blanks_case_and_order_do_not_matter() -> None:
    assert parse_vocabulary("# things\nRed  Car\n\n dog \nred car\n", "v") == ("dog", "red car")


@given(TAGS, st.randoms())
def test_the_digest_is_of_the_tags_alone(tags: list[str], shuffle) -> None:
    other = [tag.upper() if tag.upper().casefold() == tag.casefold() else tag for tag in tags]
    shuffle.shuffle(other)
    one, two = (VocabularyFile(file=f, text="\n".join(t)) for f, t in (("a", tags), ("b", ["#", *other])))
    assert one.parse() == two.parse()
    assert one.sha256 == two.sha256
    more = VocabularyFile(file="a", text="\n".join([*tags, "a tag of two words more"]))
    assert more.sha256 != one.sha256


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# nothing\n", "v.txt names no tag"),
        ("dog\n" + "x" * (MOST_CHARS + 1), "v.txt line 2"),
        ("dog\ncat\x07\n", "v.txt line 2"),
    ],
)
def test_what_is_no_vocabulary_is_refused(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        parse_vocabulary(text, "v.txt")


def test_the_packages_own_has_the_tags_that_its_mapping_knows() -> None:
    tags = set(parse_vocabulary(package_vocabulary(), "package"))
    known = parse_mapping(package_mapping(), "package")
    told = {term for weights in known.leaves.values() for term in weights}
    heads = {tag.rpartition(" ")[2] for tag in tags}
    assert told <= tags | heads
    assert {"red circle", "blue bar", "cross"} <= tags
    assert all(tag == spelled(tag) for tag in tags)
