"""What a model that remembers is asked, and that its rows are those of one that does not."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infinity_mm.fs import Location
from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.cache.chat import Memory, RememberingChat
from infinity_mm.synth.cache.files import GenerationFiles
from infinity_mm.synth.calls import call
from infinity_mm.synth.chat import Reply, Request, Sampling
from infinity_mm.synth.outcomes import Outcome
from infinity_mm.synth.run_step import synthesise

SEED = 5
ANY_FIXTURE = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])


def remembering(chat: Any, files: GenerationFiles | None, model: str = "m") -> RememberingChat:
    return RememberingChat(chat, Memory(files), model)


def generate(
    kit: Any, chat: Any, files: GenerationFiles | None, names: str = "abc", seed: int = SEED, **changes: Any
) -> Any:
    mind = remembering(chat, files)
    params = kit.with_params(per_image=2, **changes)
    found = synthesise(mind, mind, [kit.parent(name) for name in names], params, seed)
    mind.memory.flush()
    return found


def words(found: list[Outcome]) -> list[Outcome]:
    """The outcomes without what tells where the words came from."""
    return [
        dataclasses.replace(one, calls=tuple(dataclasses.replace(c, cached=False) for c in one.calls)) for one in found
    ]


def fickle(kit: Any) -> Any:
    """A model that often fails and never says the same twice."""
    count = itertools.count()

    def answer(request: Request) -> Any:
        draw = keyed_u64(next(count), "fickle", request.key) % 100
        return None if draw < 20 else kit.sound(request).replace("wall", f"wall {draw}")

    return kit.chat(answer)


def test_nothing_changed_means_no_call_and_the_same_outcomes(kit: Any, files: GenerationFiles) -> None:
    first, second = kit.chat(kit.sound), kit.chat(kit.sound)
    before = generate(kit, first, files)
    after = generate(kit, second, files)
    assert len(first.asked) == 3 + 6 * 3
    assert second.asked == []
    assert words(after) == before
    assert all(made.cached for one in after for made in one.calls)
    assert not any(made.cached for one in before for made in one.calls)


def test_with_and_without_a_cache_the_rows_are_the_same(kit: Any, files: GenerationFiles) -> None:
    cached = generate(kit, kit.chat(kit.sound), files)
    assert cached == generate(kit, kit.chat(kit.sound), None)
    assert words(generate(kit, kit.chat(kit.sound), files)) == cached


@ANY_FIXTURE
@given(names=st.permutations("abcdef"), cut=st.integers(0, 6))
def test_partitions_do_not_matter(kit: Any, tmp_path_factory: Any, names: list[str], cut: int) -> None:
    files = GenerationFiles(Location.of(tmp_path_factory.mktemp("cache")))
    whole = generate(kit, fickle(kit), files, "".join(names), max_retries=8)
    chat = kit.chat(kit.sound)
    parts = [generate(kit, chat, files, half, max_retries=8) for half in (names[:cut], names[cut:])]
    assert words(parts[0] + parts[1]) == words(whole)
    assert chat.asked == []


def test_failures_are_asked_again_and_answers_are_not(kit: Any, files: GenerationFiles) -> None:
    def answer(request: Request) -> Any:
        if kit.step_of(request) == "judge" and kit.parent("b").data in request.images:
            return None
        return kit.sound(request)

    before = generate(kit, kit.chat(answer), files, max_retries=1)
    assert [one.outcome for one in before] == ["kept"] * 2 + ["quarantined"] * 2 + ["kept"] * 2
    chat = kit.chat(kit.sound)
    after = generate(kit, chat, files, max_retries=1)
    assert [one.outcome for one in after] == ["kept"] * 6
    assert [kit.step_of(request) for request in chat.asked] == ["judge"] * 2


def test_an_unusable_answer_is_a_failure(kit: Any, files: GenerationFiles) -> None:
    generate(kit, kit.chat(lambda request: "nonsense"), files)
    assert files.rows() == 0


def test_an_answer_that_took_tries_is_remembered_with_them(kit: Any, files: GenerationFiles) -> None:
    first: dict[str, int] = {}

    def second_time(request: Request) -> Any:
        return kit.sound(request) if request.seed != first.setdefault(request.key, request.seed) else None

    before = generate(kit, kit.chat(second_time), files)
    assert {made.attempts for one in before for made in one.calls} == {2}
    chat = kit.chat(kit.sound)
    assert words(generate(kit, chat, files)) == before
    assert chat.asked == []


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, set()),
        ({"min_score": 3, "rules": {"max_run": 5}, "max_retries": 5, "images": 3}, set()),
        ({"draws": {"judge": {"temperature": 0.5}}}, {"judge"}),
        ({"draws": {"generate": {"temperature": 0.9}}}, {"generate", "judge"}),
        ({"limits": {"judge_reason_chars": 150}}, {"judge"}),
        ({"limits": {"tags": 5}}, {"tag"}),
    ],
)
def test_only_what_a_change_touches_is_asked(kit: Any, files: GenerationFiles, changes: Any, asked: set[str]) -> None:
    generate(kit, kit.chat(kit.sound), files)
    fresh = kit.chat(
        lambda r: kit.sound(r).replace("a wall", "some wall") if kit.step_of(r) == "generate" else kit.sound(r)
    )
    generate(kit, fresh, files, **changes)
    assert {kit.step_of(request) for request in fresh.asked} == asked


def test_another_prompt_is_asked_and_what_follows_from_it(kit: Any, files: GenerationFiles) -> None:
    from infinity_mm.synth.prompts import load_prompt

    generate(kit, kit.chat(kit.sound), files)
    prompt = load_prompt("classify", 1)
    text = "".join(f"[{name}]\n{words}\n" for name, words in prompt.sections).replace("the", "this")
    chat = kit.chat(kit.sound)
    found = generate(kit, chat, files, prompts={"classify": {"file": "classify.v2.txt", "text": text}})
    assert {kit.step_of(request) for request in chat.asked} == {"classify"}, "the types that it chose are the same"
    assert {one.record["extra"].count("classify.v2") for one in found} == {0}
    assert all('"prompt_version":2' in one.record["extra"] for one in found)


def test_another_model_is_asked_everything(kit: Any, files: GenerationFiles) -> None:
    generate(kit, kit.chat(kit.sound), files)
    chat = kit.chat(kit.sound)
    mind = remembering(chat, files, "other")
    synthesise(mind, mind, [kit.parent("a")], kit.params, SEED)
    assert [kit.step_of(request) for request in chat.asked] == ["tag", "classify", "generate", "judge"]


def test_another_seed_asks_only_for_what_is_drawn(kit: Any, files: GenerationFiles) -> None:
    types = {"types": ("Recognize color",), "formats": {"brief": 0, "detailed": 0, "multiple_choice": 0}}
    generate(kit, kit.chat(kit.sound), files, "a", **types)
    chat = kit.chat(kit.sound)
    (one, _) = generate(kit, chat, files, "a", seed=SEED + 1, **types)
    assert {kit.step_of(request) for request in chat.asked} == {"generate"}
    assert one.record is not None


def test_two_who_ask_at_once_agree_afterwards(kit: Any, files: GenerationFiles) -> None:
    one, other = (remembering(fickle(kit), files) for _ in range(2))
    params = kit.with_params(per_image=2, max_retries=8)
    parents = [kit.parent(name) for name in "abcd"]
    for mind in (one, other):
        synthesise(mind, mind, parents, params, SEED)
    for mind in (one, other):
        mind.memory.flush()
    again = [generate(kit, kit.chat(kit.sound), files, "abcd", max_retries=8) for _ in range(2)]
    assert words(again[0]) == words(again[1])


def test_the_same_question_twice_in_a_batch_is_asked_once(kit: Any) -> None:
    chat = kit.chat(lambda request: "yes")
    asked = [Request(key=key, prompt="p", choices=("yes", "no"), seed=seed) for key, seed in (("a", 1), ("b", 2))]
    one, two = call(remembering(chat, None), asked, 0)
    assert [request.key for request in chat.asked] == ["a"]
    assert (one.cached, two.cached) == (False, True)
    assert (one.reply.key, two.reply.key, two.request.seed) == ("a", "b", 2)


def test_a_free_text_that_the_context_cut_off_is_no_answer(kit: Any, files: GenerationFiles) -> None:
    def cut(request: Request) -> Reply:
        return Reply(key=request.key, text="and so", finish_reason="length", completion_tokens=len(request.prompt))

    asked = [Request(key=p, prompt=p, sampling=Sampling(max_tokens=4)) for p in ("abc", "abcd")]
    mind = remembering(kit.chat(cut), files)
    call(mind, asked, 0)
    mind.memory.flush()
    assert files.rows() == 1


def test_a_run_that_is_killed_loses_the_batch_at_work_and_no_other(kit: Any, files: GenerationFiles) -> None:
    def answer(request: Request) -> Any:
        if kit.step_of(request) == "judge":
            raise KeyboardInterrupt
        return kit.sound(request)

    parents = [kit.parent(name) for name in "abc"]
    params = kit.with_params(per_image=2)
    mind = remembering(kit.chat(answer), files)
    with pytest.raises(KeyboardInterrupt):
        synthesise(mind, mind, parents, params, SEED)
    assert files.rows() == 3 + 6 * 2, "written without a word to the memory at the end"
    chat = kit.chat(kit.sound)
    after = generate(kit, chat, files)
    assert {kit.step_of(request) for request in chat.asked} == {"judge"}
    assert words(after) == generate(kit, kit.chat(kit.sound), None)


def test_an_answer_in_the_cache_that_does_not_fit_is_none(kit: Any, files: GenerationFiles) -> None:
    from tests.synth.cache.conftest import entry

    asked = Request(key="a", prompt="p", choices=("yes", "no"))
    chat = kit.chat(lambda request: "yes")
    mind = remembering(chat, files)
    mind.memory.keep(dataclasses.replace(entry(1, "perhaps"), key=mind.key(asked)))
    assert call(mind, [asked], 0)[0].reply.text == "yes"
    assert len(chat.asked) == 1
