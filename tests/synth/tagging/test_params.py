import pytest
from pydantic import ValidationError

from infinity_mm.fingerprint import canonical
from infinity_mm.synth.located import unlocated
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.run_step import identity
from infinity_mm.synth.tagging.params import DEFAULT

ZERO = {"kind": "zero_shot", "model": {"name": "m"}, "vocabulary": "v.txt"}
HEAD = {"kind": "classifier", "model": {"name": "m"}}


def params(*taggers: dict[str, object]) -> SynthParams:
    return SynthParams.model_validate({"images": 1, "taggers": taggers})


def test_without_a_word_the_writing_model_tags_alone() -> None:
    assert SynthParams(images=1).taggers == DEFAULT == params({"kind": "vlm"}).taggers


def test_several_taggers_travel_as_json() -> None:
    several = params({"kind": "vlm"}, ZERO, ZERO | {"name": "other", "threshold": 0.3}, HEAD)
    assert [use.name for use in several.taggers] == ["vlm", "zero_shot", "other", "classifier"]
    assert SynthParams.model_validate_json(several.model_dump_json()) == several


def test_results_are_named_by_the_taggers_unless_the_writing_model_is_alone() -> None:
    def named(*taggers: dict[str, object]) -> str:
        return canonical(identity(params(*taggers)))

    vlm, text = {"kind": "vlm"}, {"file": "v.txt", "text": "dog\ncat"}
    zero = ZERO | {"vocabulary": text}
    assert '"taggers"' not in named(vlm)
    same = named(vlm, zero)
    assert same == named(vlm, zero | {"vocabulary": {"file": "elsewhere.txt", "text": "# x\ncat\ndog\n"}})
    others = [named(zero), named(vlm, HEAD), named(vlm, zero | {"threshold": 0.3}), named(vlm, zero | {"top": 3})]
    others.append(named(vlm, zero | {"vocabulary": {"file": "v.txt", "text": "dog"}}))
    assert len({named(vlm), same, *others}) == 7


def test_the_fingerprint_of_a_recipe_has_what_vocabularies_say_and_not_where_they_are() -> None:
    one, two = (params(ZERO | {"vocabulary": {"file": file, "text": "dog"}}) for file in "ab")
    assert unlocated(one) == unlocated(two) != unlocated(params(ZERO | {"vocabulary": {"file": "a", "text": "cat"}}))
    assert "taggers" not in unlocated(SynthParams(images=1))


@pytest.mark.parametrize(
    ("taggers", "words"),
    [
        ([], "taggers is empty"),
        ([ZERO, ZERO], "two taggers are called zero_shot"),
        ([{"kind": "vlm"}, {"kind": "vlm", "name": "b"}], "kind vlm is given twice"),
        ([ZERO | {"template": "a photo"}], "{} once"),
        ([ZERO | {"template": "{} and {}"}], "{} once"),
        ([ZERO | {"threshold": 1.5}], "less than or equal to 1"),
        ([{"kind": "ram"}], "'vlm', 'zero_shot', 'classifier'"),
        ([HEAD | {"vocabulary": "v.txt"}], "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused(taggers: list[dict[str, object]], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        params(*taggers)
