from __future__ import annotations

from typing import Any

import pytest

from infinity_mm.errors import StageError
from infinity_mm.keyed import keyed_unit
from infinity_mm.synth.cache.chat import Memory, RememberingChat
from infinity_mm.synth.chat import Request
from infinity_mm.synth.outcomes import yields
from infinity_mm.synth.replay import Recorded, Recording, from_json, to_json
from infinity_mm.synth.run_step import synthesise, write

SEED = 6
MODEL = "weights w"


def weak(kit: Any) -> Any:
    """A writer that fails now and then, also for good."""

    def answer(request: Request) -> Any:
        draw = keyed_unit(request.seed, "weak", request.key)
        if draw < 0.15:
            return None
        return "nonsense" if draw < 0.3 else kit.sound(request)

    return kit.chat(answer, model="writer")


@pytest.mark.parametrize("checks", [{}, {"relevance": "mark", "agreement": "mark"}])
def test_the_judge_finds_what_it_would_have_found_beside_the_writer(kit: Any, checks: dict[str, str]) -> None:
    parents = [kit.parent(name) for name in "abcdef"]
    params = kit.with_params(per_image=3, max_retries=1, checks=checks)
    judge = kit.chat(kit.sound, model="judge")
    beside = synthesise(RememberingChat(weak(kit), Memory(None), MODEL), judge, parents, params, SEED)
    recording = Recording(RememberingChat(weak(kit), Memory(None), MODEL))
    write(recording, parents, params, SEED)
    recorded = Recorded(from_json(to_json(recording.calls)), MODEL)
    after = synthesise(recorded, judge, parents, params, SEED)
    assert after == beside
    assert yields(after) == yields(beside)
    assert {one.outcome for one in after} == {"kept", "quarantined"}
    assert recorded.info.model == "writer"


def test_what_was_not_written_down_is_an_error_not_an_answer(kit: Any) -> None:
    with pytest.raises(StageError, match=r"first .*/tag"):
        synthesise(Recorded({}, MODEL), kit.chat(kit.sound), [kit.parent()], kit.params, SEED)


def test_a_recording_keeps_what_the_memory_knew(kit: Any) -> None:
    memory = Memory(None)
    parents = [kit.parent()]
    first = Recording(RememberingChat(kit.chat(kit.sound), memory, MODEL))
    write(first, parents, kit.params, SEED)
    asked = kit.chat(lambda request: None)
    second = Recording(RememberingChat(asked, memory, MODEL))
    write(second, parents, kit.params, SEED)
    assert asked.asked == []
    assert second.calls.keys() == first.calls.keys()
    assert all(call.cached for call in second.calls.values())
    assert not any(call.cached for call in first.calls.values())
