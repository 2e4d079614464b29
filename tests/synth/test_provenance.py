from __future__ import annotations

import json
from typing import Any

from infinity_mm.synth.params import STEP_NAMES
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.provenance import PROMPTS, Provenance
from infinity_mm.synth.run_step import synthesise
from infinity_mm.synth.taxonomy import Taxonomy


def origin_of(kit: Any, judge: str = "scripted-vlm", **changes: object) -> tuple[Provenance, Any, Any]:
    writer, examiner = kit.chat(kit.sound), kit.chat(kit.sound, judge)
    params = kit.with_params(**changes)
    (one,) = synthesise(writer, examiner, [kit.parent()], params, 11)
    assert one.record is not None
    return Provenance.model_validate_json(one.record["extra"]), writer, examiner


def test_every_call_can_be_asked_again(kit: Any) -> None:
    origin, writer, examiner = origin_of(kit, judge="other-vlm")
    assert set(origin.calls) == set(STEP_NAMES)
    asked = {kit.step_of(request): request for request in (*writer.asked, *examiner.asked)}
    for step, made in origin.calls.items():
        request = asked[step]
        assert (made.seed, made.sampling) == (request.seed, request.sampling)
        assert made.engine == (examiner if step == "judge" else writer).info
        prompt = load_prompt(*PROMPTS[step])
        assert (made.prompt, made.prompt_version, made.prompt_sha256) == (prompt.name, prompt.version, prompt.sha256)
        assert request.system == prompt.text("system")
        assert made.prompt_tokens == 10


def test_parent_type_tags_format_and_score_are_named(kit: Any) -> None:
    origin, _, _ = origin_of(kit, types=("Count people",), formats={"brief": 0, "detailed": 0, "word_or_phrase": 0})
    parent = kit.parent()
    assert (origin.parent, origin.parent_source, origin.image_sha256) == (parent.id, "photos", parent.image.sha256)
    kind = origin.instruction_type
    assert (kind.level1, kind.level2, kind.leaf) == Taxonomy.load().path("Count people")
    assert kind.taxonomy_sha256 == Taxonomy.load().sha256
    assert [(tag.tag, tag.confidence) for tag in origin.tags] == [("red car", 5), ("brick wall", 4)]
    assert origin.answer_format == "multiple_choice"
    assert origin.answer in origin.options
    assert len(origin.options) == 4
    assert (origin.score, origin.score_reason) == (9, "The car is beside the wall.")
    assert "scripted-vlm" in origin.license_note


def test_self_judged_rows_say_so(kit: Any) -> None:
    assert origin_of(kit)[0].self_judged
    assert not origin_of(kit, judge="other-vlm")[0].self_judged


def test_extra_is_one_canonical_json_object(kit: Any) -> None:
    chat = kit.chat(kit.sound)
    (one,) = synthesise(chat, chat, [kit.parent()], kit.params, 11)
    assert one.record is not None
    extra = one.record["extra"]
    assert extra == json.dumps(json.loads(extra), sort_keys=True, separators=(",", ":"))
