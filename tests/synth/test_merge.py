from __future__ import annotations

from typing import Any

import pytest

from infinity_mm.ledger import JOINED_ELSEWHERE
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.schema import RECORDS, to_table, validate_records
from infinity_mm.synth.chat import Request
from infinity_mm.synth.outcomes import yields
from infinity_mm.synth.provenance import Provenance
from infinity_mm.synth.run_step import synthesise

SEED = 2


def made(kit: Any, merge: bool, fails: tuple[str, ...] = (), per_image: int = 3) -> Any:
    def answer(request: Request) -> Any:
        return None if any(request.key.endswith(f"/{n}/generate") for n in fails) else kit.sound(request)

    chat = kit.chat(answer)
    parents = [kit.parent(name) for name in "ab"]
    params = kit.with_params(per_image=per_image, merge_turns=merge, max_retries=0)
    return synthesise(chat, chat, parents, params, SEED)


def test_the_questions_about_a_picture_become_one_conversation(kit: Any) -> None:
    apart, joined = made(kit, False), made(kit, True)
    assert [one.id for one in joined] == [one.id for one in apart]
    for first in (0, 3):
        record, turns = joined[first].record, apart[first : first + 3]
        assert record["id"] == apart[first].id
        assert [message["role"] for message in record["messages"]] == ["user", "assistant"] * 3
        said = [message["content"] for one in turns for message in one.record["messages"]]
        assert [message["content"] for message in record["messages"]] == [
            said[0], *(text.removeprefix(f"{IMAGE_TOKEN}\n") for text in said[1:]),
        ]  # fmt: skip
        assert "".join(message["content"] for message in record["messages"]).count(IMAGE_TOKEN) == 1
        origin = Provenance.model_validate_json(record["extra"])
        assert [origin.n, *(turn.n for turn in origin.further_turns)] == [0, 1, 2]
        assert origin.further_turns[1].question == Provenance.model_validate_json(turns[2].record["extra"]).question
        for turn in joined[first + 1 : first + 3]:
            assert (turn.outcome, turn.stage, turn.reason) == ("dropped", "synth.merge", JOINED_ELSEWHERE)
            assert turn.winner == joined[first].id
            assert turn.record is None
            assert turn.generation == apart[joined.index(turn)].generation
    records = [one.record for one in joined if one.record]
    assert validate_records(to_table(records, RECORDS).to_pylist()) == [None, None]


def test_yields_count_questions(kit: Any) -> None:
    assert yields(made(kit, True)) == yields(made(kit, False))


@pytest.mark.parametrize(("fails", "turns"), [(("0",), 2), (("0", "2"), 1), (("0", "1", "2"), 0)])
def test_only_kept_questions_are_merged_into_the_first_of_them(kit: Any, fails: Any, turns: int) -> None:
    outcomes = made(kit, True, fails)[:3]
    kept = [one for one in outcomes if one.record]
    assert len(kept) == min(turns, 1)
    assert sum(len(one.record["messages"]) for one in kept) == 2 * turns
    assert sum(one.outcome == "quarantined" for one in outcomes) == len(fails)
    if turns == 1:
        assert Provenance.model_validate_json(kept[0].record["extra"]).further_turns == ()
