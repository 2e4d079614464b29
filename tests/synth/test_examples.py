from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth import step3_generate
from infinity_mm.synth.examples import SHOWN, choose
from infinity_mm.synth.rows import Drop, Generated
from infinity_mm.synth.run_step import identity
from infinity_mm.synth.seeds import SeedFile

SEED = 3


def line(image: str, question: str, form: str = "word_or_phrase", name: str = "Recognize color") -> dict[str, Any]:
    return {"image": image, "type": name, "question": question, "answer": "red", "format": form}


def with_seeds(kit: Any, *lines: dict[str, Any]) -> Any:
    text = "\n".join(json.dumps(one) for one in lines)
    return kit.with_params(seeds=SeedFile(file="seeds.jsonl", text=text).model_dump())


def test_no_seeds_leave_the_prompt_as_it_is(kit: Any) -> None:
    row = kit.typed()
    plain = step3_generate.request(row, kit.params, SEED).prompt
    other = with_seeds(kit, line("x", "How old is the tree?", name="Compare ages"))
    assert step3_generate.request(row, other, SEED).prompt == plain


def test_two_examples_of_the_type_are_shown_after_what_is_asked(kit: Any) -> None:
    lines = [line(f"p{n}", f"What color is thing {n}?") for n in range(6)]
    params = with_seeds(kit, *lines, line("q", "Unrelated?", name="Count people"))
    row = kit.typed()
    plain = step3_generate.request(row, kit.params, SEED).prompt
    prompt = step3_generate.request(row, params, SEED).prompt
    assert prompt.startswith(plain)
    assert prompt.count('{"question": "What color is thing') == SHOWN == 2
    drawn = {tuple(one.id for one in choose(kit.typed(n=n), params, SEED)) for n in range(12)}
    assert len(drawn) > 3, "each attempt draws its own"


def test_the_row_says_which_examples_the_writer_saw(kit: Any) -> None:
    params = with_seeds(kit, *(line(f"p{n}", f"What color is thing {n}?") for n in range(6)))
    reply = kit.reply(json.dumps({"question": "What color is the left car?", "answer": "blue"}))
    row = step3_generate.read(kit.typed(), reply, params, SEED)
    assert isinstance(row, Generated)
    assert row.examples == tuple(one.id for one in choose(kit.typed(), params, SEED))
    assert len(row.examples) == 2


def test_examples_in_the_form_of_the_answer_come_first(kit: Any) -> None:
    brief = [line(f"b{n}", f"Why is thing {n} red?", "brief") for n in range(2)]
    words = [line(f"w{n}", f"What color is thing {n}?") for n in range(5)]
    params = with_seeds(kit, *words, *brief)
    assert [one.row.format for one in choose(kit.typed("brief"), params, SEED)] == ["brief", "brief"]


images = st.lists(st.sampled_from(["a", "b", "c", "own", "record"]), max_size=8)


@given(images=images, n=st.integers(0, 5))
def test_never_two_of_one_picture_and_never_the_rows_own(kit: Any, images: list[str], n: int) -> None:
    row = kit.typed(n=n)
    parent = row.attempt.parent
    own = {"own": parent.image.sha256, "record": parent.id}
    lines = [line(own.get(name, name), f"What color is thing {k}?") for k, name in enumerate(images)]
    found = choose(row, with_seeds(kit, *lines), SEED)
    shown = [one.row.image for one in found]
    assert len(set(shown)) == len(shown) <= SHOWN
    assert not set(shown) & set(own.values())
    assert len(shown) == min(SHOWN, len(set(images) - set(own)))


def test_a_copied_example_is_dropped(kit: Any) -> None:
    params = with_seeds(kit, line("p", "What color is the left car?"))
    reply = kit.reply(json.dumps({"question": "what color is the LEFT car", "answer": "blue"}))
    found = step3_generate.read(kit.typed(), reply, params, SEED)
    assert isinstance(found, Drop)
    assert found.reason == "example_copied"
    assert not isinstance(step3_generate.read(kit.typed(), reply, kit.params, SEED), Drop)


def test_seeds_are_part_of_what_names_the_rows(kit: Any) -> None:
    one, other = with_seeds(kit, line("p", "What color?")), with_seeds(kit, line("q", "What color?"))
    assert identity(one) != identity(other) != identity(kit.params)
    moved = one.model_copy(update={"seeds": replace_file(one.seeds)})
    assert identity(moved) == identity(one)


def replace_file(file: SeedFile) -> SeedFile:
    return file.model_copy(update={"file": "elsewhere.jsonl"})
