from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infinity_mm.synth.params import LossParams, SynthParams
from infinity_mm.synth.settle import REASONS, Question, groups, merged_drops, outliers, quantiles, unbalanced

MODEL = {"name": "random", "engine": "transformers"}


def questions(*said: tuple[str, str | None]) -> list[Question]:
    return [Question(f"{n:04d}", leaf, "word_or_phrase", "photos", answer) for n, (leaf, answer) in enumerate(said)]


answers = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["yes", "no", None])), max_size=30)


@given(said=answers, seed=st.integers(0, 5), order=st.randoms())
def test_every_type_ends_with_as_many_yes_as_no_and_nothing_else_is_touched(said: Any, seed: int, order: Any) -> None:
    rows = questions(*said)
    drops = unbalanced(rows, seed)
    left = Counter((row.leaf, row.yes_no) for row in rows if row.id not in drops)
    for leaf in "AB":
        assert left[leaf, "yes"] == left[leaf, "no"] == min(said.count((leaf, "yes")), said.count((leaf, "no")))
        assert left[leaf, None] == said.count((leaf, None))
    assert all(drop.reason == "yes_no_balance" for drop in drops.values())
    mixed = list(rows)
    order.shuffle(mixed)
    assert unbalanced(mixed, seed) == drops


def with_losses(form: str, losses: list[float | None], source: str = "photos") -> list[Question]:
    return [Question(f"{source}/{form}/{n}", "A", form, source, None, loss) for n, loss in enumerate(losses)]


def test_losses_are_cut_inside_their_own_source_and_format() -> None:
    short = with_losses("word_or_phrase", [float(k) + 5 for k in range(20)])
    long = with_losses("detailed", [float(k) / 100 for k in range(20)])
    params = LossParams(model=MODEL, keep_from=0.1, keep_to=0.9, min_rows=10)
    drops = outliers([*short, *long], params)
    assert Counter(drop.reason for drop in drops.values()) == {"high_loss": 4, "low_loss": 4}
    for form in ("word_or_phrase", "detailed"):
        assert drops[f"photos/{form}/19"].reason == "high_loss"
        assert drops[f"photos/{form}/0"].reason == "low_loss"
    assert "quantile 0.9 of photos, detailed" in drops["photos/detailed/19"].detail


def test_an_unknown_loss_never_passes_a_cut_and_is_free_without_one() -> None:
    rows = with_losses("brief", [1.0, None, 2.0])
    assert outliers(rows, LossParams(model=MODEL)) == {}
    drops = outliers(rows, LossParams(model=MODEL, keep_to=0.9))
    assert {name: drop.reason for name, drop in drops.items()} == {"photos/brief/1": "loss_unknown"}, "too few to cut"


losses = st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=40)


@given(short=losses, long=losses, low=st.floats(0, 0.4), high=st.floats(0.6, 1.0))
def test_a_cut_drops_no_more_than_it_says_and_never_looks_at_other_groups(
    short: Any, long: Any, low: float, high: float
) -> None:
    params = LossParams(model=MODEL, keep_from=low, keep_to=high, min_rows=5)
    one, other = with_losses("brief", short), with_losses("detailed", long)
    both = outliers([*one, *other], params)
    assert both == outliers(one, params) | outliers(other, params)
    assert all(drop.reason in REASONS for drop in both.values())
    for members in groups([*one, *other]).values():
        known = [row for row in members if row.loss is not None]
        cut = sum(both[row.id].reason in ("high_loss", "low_loss") for row in known if row.id in both)
        assert cut <= (low + 1 - high) * len(known) + 2


def test_figures_and_joined_drops() -> None:
    assert quantiles([0.0, 1.0, 2.0], (0.0, 0.5, 1.0)) == [0.0, 1.0, 2.0]
    first, second = unbalanced(questions(("A", "yes")), 1), unbalanced(questions(("B", "no")), 1)
    assert merged_drops([first, second])["0000"].detail.startswith("A")


def test_a_recipe_that_contradicts_itself_is_refused() -> None:
    for keys in (
        {"merge_turns": True, "rules": {"yes_no": "balance"}},
        {"loss": {"model": MODEL, "keep_from": 0.9, "keep_to": 0.1}},
        {"loss": {"model": {"name": "m", "engine": "vllm"}}},
        {"merge_turns": True, "loss": {"model": MODEL, "keep_to": 0.9}},
    ):
        with pytest.raises(ValidationError):
            SynthParams.model_validate({"images": 1} | keys)
    assert not SynthParams.model_validate({"images": 1, "merge_turns": True, "loss": {"model": MODEL}}).settles
