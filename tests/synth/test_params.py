from __future__ import annotations

import pytest
from pydantic import ValidationError

from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.params import SynthParams, call_seed


def test_defaults_follow_the_paper_where_it_speaks() -> None:
    params = SynthParams(images=1)
    assert params.min_score == 8
    assert params.judge is None
    assert set(params.formats.as_dict()) == {"word_or_phrase", "brief", "detailed", "multiple_choice"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": 0},
        {"images": 1, "min_score": 0},
        {"images": 1, "min_score": 11},
        {"images": 1, "max_retries": -1},
        {"images": 1, "max_retries": 100},
        {"images": 1, "formats": {"word_or_phrase": -1}},
        {"images": 1, "unknown": 1},
    ],
)
def test_impossible_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SynthParams.model_validate(wrong)


def test_all_formats_off_is_refused() -> None:
    off = dict.fromkeys(("word_or_phrase", "brief", "detailed", "multiple_choice"), 0)
    with pytest.raises(ValidationError, match="every format weight is 0"):
        SynthParams.model_validate({"images": 1, "formats": off})


def test_an_unknown_type_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValidationError, match="did you mean 'Parse tables'"):
        SynthParams(images=1, types=("Parse tabels",))


def test_call_seeds_differ_by_step_and_attempt_and_leave_room_for_retries() -> None:
    seeds = {call_seed(3, step, key) for step in ("tag", "classify", "generate", "judge") for key in ("a/0", "a/1")}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**30 for seed in seeds)
    assert call_seed(3, "tag", "a/0") != call_seed(4, "tag", "a/0")


@pytest.mark.parametrize(
    ("given", "said"), [({"gpus": 1.5}, "whole number"), ({"gpus": 0.00001}, "least share is 0.001")]
)
def test_what_no_cluster_can_count_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        ModelSpec.model_validate(given)
    assert ModelSpec(gpus=0.5, cpus=2.5).gpus == 0.5
