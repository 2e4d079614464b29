from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.chat import EngineInfo
from infinity_mm.synth.rows import Drop, Failed, Tag, Tagged
from infinity_mm.synth.tagging.scores import DECIMALS, TaggerInfo, Tagging, choose, confidence, merge

NAMES = ("dog", "cat", "red car", "tree", "sky")
SCORES = st.lists(st.floats(0, 1), min_size=len(NAMES), max_size=len(NAMES))
ROUNDED = st.integers(0, 10_000).map(lambda n: n / 10_000)
FOUND = st.dictionaries(st.sampled_from(NAMES), ROUNDED, max_size=4).map(lambda d: tuple(sorted(d.items())))


def info(name: str, threshold: float = 0.2) -> TaggerInfo:
    engine = EngineInfo(engine="transformers", version="0", model="m", revision="r", batch_invariant=True)
    return TaggerInfo(
        name=name,
        kind="zero_shot",
        engine=engine,
        labels=5,
        labels_sha256="0" * 64,
        score="sigmoid",
        threshold=threshold,
        top=5,
        template="{}",
    )


@given(SCORES, st.floats(0, 1), st.integers(1, 6), st.randoms())
def test_chosen_are_the_best_above_the_threshold(scores: list[float], threshold: float, top: int, shuffle: Any) -> None:
    found = choose(NAMES, np.array(scores), threshold, top)
    assert len(found) <= top
    assert all(score >= threshold and score == round(score, DECIMALS) for _, score in found)
    assert list(found) == sorted(found, key=lambda pair: (-pair[1], pair[0]))
    left = [s for name, s in zip(NAMES, np.round(scores, DECIMALS), strict=True) if name not in dict(found)]
    assert len(found) == top or all(score < threshold for score in left)
    order = list(range(len(NAMES)))
    shuffle.shuffle(order)
    assert found == choose([NAMES[k] for k in order], np.array([scores[k] for k in order]), threshold, top)


def test_labels_that_are_spelled_alike_are_one() -> None:
    assert choose(("Crane", "crane", "dog"), np.array([0.3, 0.9, 0.5]), 0.2, 5) == (("crane", 0.9), ("dog", 0.5))


@pytest.mark.parametrize(
    ("score", "expected"), [(0, 1), (0.2, 1), (0.2001, 2), (0.5, 3), (0.6, 3), (0.61, 4), (0.8, 4), (1.0, 5)]
)
def test_a_score_stands_for_the_fifth_it_falls_into(score: float, expected: int) -> None:
    assert confidence(score) == expected


@pytest.mark.parametrize("said", range(1, 6))
def test_what_the_model_said_keeps_its_confidence(said: int) -> None:
    assert confidence(Tag("dog", said).score) == said


@given(st.lists(FOUND, min_size=1, max_size=3), st.randoms())
def test_merging_is_the_union_with_the_highest_score(founds: list[Any], shuffle: Any) -> None:
    taggings = [Tagging(info(f"t{k}"), found) for k, found in enumerate(founds)]
    result = merge(None, taggings, None, "")  # type: ignore[arg-type]
    everything = [(name, score, f"t{k}") for k, found in enumerate(founds) for name, score in found]
    if not everything:
        assert isinstance(result, Drop)
        assert result.reason == "no_tags"
        return
    assert isinstance(result, Tagged)
    assert {tag.name for tag in result.tags} == {name for name, _, _ in everything}
    for tag in result.tags:
        assert dict(tag.scores) == {tagger: score for name, score, tagger in everything if name == tag.name}
        assert tag.score == max(score for _, score in tag.scores)
    assert list(result.tags) == sorted(result.tags, key=lambda tag: (-tag.score, tag.name))
    shuffle.shuffle(taggings)
    assert result == merge(None, taggings, None, "")  # type: ignore[arg-type]


def test_the_writers_words_are_merged_under_its_name(kit: Any) -> None:
    parent = kit.parent()
    said = Tagged(parent, (Tag("red car", 5), Tag("wall", 3)))
    found = merge(parent, [Tagging(info("siglip"), (("red car", 0.7), ("dog", 0.65)))], said, "vlm")
    assert isinstance(found, Tagged)
    assert found.tags == (
        Tag("red car", 5, (("vlm", 1.0), ("siglip", 0.7))),
        Tag("dog", 4, (("siglip", 0.65),)),
        Tag("wall", 3, (("vlm", 0.6),)),
    )
    assert [one.name for one in found.taggers] == ["siglip"]


def test_a_tagger_that_could_not_look_is_no_empty_answer(kit: Any) -> None:
    blind = Tagging(info("siglip"), Failed("undecodable_image", "no picture"))
    found = merge(kit.parent(), [Tagging(info("clip"), (("dog", 0.9),)), blind], None, "")
    assert found == Failed("undecodable_image", "siglip: no picture")
