from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from infinity_mm.synth import offers as module
from infinity_mm.synth import step2_classify
from infinity_mm.synth.mapping import build_weights, mapping_text
from infinity_mm.synth.offers import share_of, with_offers
from infinity_mm.synth.rows import Attempt, Tag, Tagged
from infinity_mm.synth.run_step import identity, synthesise
from infinity_mm.synth.taxonomy import Taxonomy
from tests.synth.test_mapping import SMALL

SEED = 9
MAPPING = mapping_text(build_weights(SMALL), 4)


def attempts(kit: Any, count: int, *tags: str) -> list[Attempt]:
    found = tuple(Tag(name, 5) for name in tags or ("dog",))
    return [Attempt(Tagged(kit.parent(f"p{n}"), found), 0) for n in range(count)]


def offering(kit: Any, **offer: Any) -> Any:
    return kit.with_params(offer={"mapping": {"file": "m", "text": MAPPING}} | offer)


def test_without_mapping_and_shares_nothing_changes(kit: Any) -> None:
    rows = attempts(kit, 3)
    assert with_offers(rows, kit.params, SEED) == rows


def test_the_types_of_the_tags_come_first(kit: Any) -> None:
    rows = with_offers(attempts(kit, 40, "bar chart", "legend"), offering(kit, temperature=0.3), SEED)
    first = Counter(row.offered[0] for row in rows if row.offered)
    assert first.most_common(1)[0][0] == "Parse bar charts"
    assert first["Parse bar charts"] > 20
    assert all(len(row.offered or ()) == kit.params.candidates for row in rows)
    assert all(len(set(row.offered or ())) == len(row.offered or ()) for row in rows)
    even = with_offers(attempts(kit, 40, "bar chart", "legend"), offering(kit, temperature=50.0), SEED)
    assert len({row.offered[0] for row in even if row.offered}) > 25, "a high temperature evens the types out"


def test_step_two_offers_what_the_attempt_carries(kit: Any) -> None:
    row = replace(kit.attempt(), offered=("Count animals", "Parse bar charts"))
    assert [leaf.name for leaf in step2_classify.candidates(row, kit.params, SEED)] == list(row.offered)
    request = step2_classify.request(row, kit.params, SEED)
    assert request.choices == ("Count animals", "Parse bar charts", step2_classify.NONE)


def test_shares_of_a_group_are_split_and_single_types_win(kit: Any) -> None:
    params = kit.with_params(offer={"max_share": 0.5, "shares": {"Image Quality": 0.1, "Detect noise": 0.05}})
    shares = share_of(Taxonomy.load().leaves, params)
    assert shares["Detect noise"] == 0.05
    assert shares["Assess focus"] == pytest.approx(0.1 / 11)
    assert shares["Count people"] == 0.5
    with pytest.raises(ValidationError, match="did you mean"):
        kit.with_params(offer={"shares": {"Image Qualty": 0.1}})


def test_no_type_is_offered_beyond_its_share_over_many_runs(kit: Any) -> None:
    params = kit.with_params(types=("Image Quality", "OCR"), offer={"shares": {"Recognize text": 0.03}}, candidates=4)
    offered: Counter[str] = Counter()
    total = 0
    for seed in range(120):
        found = with_offers(attempts(kit, 8), params, seed)
        offered.update(name for row in found for name in row.offered or ())
        total += len(found)
    assert 0.015 < offered["Recognize text"] / total < 0.045


def greedily(rows: list[Attempt], params: Any, seed: int) -> dict[str, list[str]]:
    """Give the best pairs of attempt and type away one by one: slow, and what `offers` must come to."""
    leaves = Taxonomy.load().select(params.types)
    caps = dict(zip(leaves, module._caps(len(rows), leaves, params, seed), strict=True))
    ranks = {row.key: module._ranks(row.key, row.tagged.tags, leaves, params, seed) for row in rows}
    found: dict[str, list[str]] = {key: [] for key in ranks}
    for _, key, leaf in sorted(
        ((-rank, key, leaf) for key, all_of in ranks.items() for rank, leaf in zip(all_of, leaves, strict=True)),
        key=lambda pair: pair[0],
    ):
        if caps[leaf] and len(found[key]) < params.candidates:
            found[key].append(leaf.name)
            caps[leaf] -= 1
    return found


tagged = st.lists(st.sampled_from(["dog", "bar chart", "legend", "street sign"]), min_size=1, max_size=3)


@settings(max_examples=30, deadline=None)
@given(
    tags=st.lists(tagged, min_size=1, max_size=20),
    share=st.floats(0.02, 1.0),
    candidates=st.integers(1, 6),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_the_best_pairs_come_first_in_whatever_order_attempts_are_given(
    kit: Any, tags: list[list[str]], share: float, candidates: int, seed: int, data: Any
) -> None:
    types = ("OCR", "Image Emotion")
    params = offering(kit, max_share=share).model_copy(update={"types": types, "candidates": candidates})
    rows = [
        Attempt(Tagged(kit.parent(f"p{n}"), tuple(Tag(name, 5) for name in names)), 0) for n, names in enumerate(tags)
    ]
    found = {row.key: list(row.offered or ()) for row in with_offers(rows, params, seed)}
    assert found == greedily(rows, params, seed)
    shuffled = with_offers(data.draw(st.permutations(rows)), params, seed)
    assert {row.key: list(row.offered or ()) for row in shuffled} == found


def test_one_more_picture_disturbs_few(kit: Any) -> None:
    params = kit.with_params(offer={"max_share": 0.05})
    rows = attempts(kit, 200)
    before = {row.key: row.offered for row in with_offers(rows[:-1], params, SEED)}
    after = {row.key: row.offered for row in with_offers(rows, params, SEED)}
    assert 0 < sum(before[key] != after[key] for key in before) < 40


@settings(max_examples=25)
@given(count=st.integers(1, 12), share=st.floats(0.05, 1.0), candidates=st.integers(1, 6), data=st.data())
def test_caps_hold_and_the_order_of_the_attempts_is_kept(
    kit: Any, count: int, share: float, candidates: int, data: Any
) -> None:
    params = kit.with_params(types=("Image Emotion", "OCR"), offer={"max_share": share}, candidates=candidates)
    rows = attempts(kit, count)
    found = with_offers(rows, params, SEED)
    assert [row.key for row in found] == [row.key for row in rows]
    if params.offer.limited:
        uses = Counter(name for row in found for name in row.offered or ())
        assert max(uses.values(), default=0) <= int(share * count) + 1
        assert all(len(row.offered or ()) <= candidates for row in found)
    shuffled = data.draw(st.permutations(rows[1:]))
    again = {row.key: row.offered for row in with_offers([rows[0], *shuffled], params, SEED)}
    assert again == {row.key: row.offered for row in found}


def test_an_attempt_that_no_type_is_left_for_ends_without_a_call(kit: Any) -> None:
    params = kit.with_params(types=("Recognize text",), per_image=4, offer={"max_share": 0.25})
    chat = kit.chat(kit.sound)
    outcomes = synthesise(chat, chat, [kit.parent()], params, SEED)
    assert sorted(str(one.reason) for one in outcomes) == ["None", *["no_type_left"] * 3]
    assert sum(kit.step_of(request) == "classify" for request in chat.asked) == 1


def test_the_mapping_is_named_by_what_it_says(kit: Any) -> None:
    one = identity(offering(kit))
    moved = identity(kit.with_params(offer={"mapping": {"file": "elsewhere", "text": "# note\n" + MAPPING}}))
    assert one == moved
    other = MAPPING.replace("backoff: 0.4", "backoff: 0.5")
    assert identity(kit.with_params(offer={"mapping": {"file": "m", "text": other}})) != one
