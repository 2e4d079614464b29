from __future__ import annotations

import hashlib
from importlib import resources

import pytest

from infinity_mm.errors import StageError
from infinity_mm.synth.prompts import load_prompt, parse_prompt
from infinity_mm.synth.provenance import PROMPTS
from infinity_mm.synth.rows import FORMATS
from infinity_mm.synth.step2_classify import NONE


@pytest.mark.parametrize("step", list(PROMPTS))
def test_static_text_comes_first_and_has_no_slots(step: str) -> None:
    prompt = load_prompt(*PROMPTS[step])  # type: ignore[index]
    assert [name for name, _ in prompt.sections][:2] == ["system", "user"]
    assert prompt.fill("system", {}) == prompt.text("system")
    file = resources.files("infinity_mm.synth") / "prompts" / f"{prompt.name}.v{prompt.version}.txt"
    assert prompt.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_every_format_is_described_to_writer_and_judge() -> None:
    for step in ("generate", "judge"):
        prompt = load_prompt(*PROMPTS[step])  # type: ignore[index]
        assert all(prompt.text(f"form.{form}") for form in FORMATS)


def test_the_refusing_choice_is_named_by_the_classify_prompt() -> None:
    prompt = load_prompt(*PROMPTS["classify"])
    assert NONE in prompt.text("system")
    assert f"- {NONE}:" in prompt.text("user")


def test_values_are_never_expanded_again() -> None:
    prompt = parse_prompt("p", 1, b"[user]\nQ: $question A: $answer\n")
    assert prompt.fill("user", {"question": "$answer ${x}", "answer": "b"}) == "Q: $answer ${x} A: b"


@pytest.mark.parametrize("slots", [{}, {"a": "1"}, {"a": "1", "b": "2", "c": "3"}])
def test_missing_and_superfluous_slots_are_errors(slots: dict[str, str]) -> None:
    prompt = parse_prompt("p", 3, b"[user]\n$a and $b")
    with pytest.raises(StageError, match=r"p\.v3 \[user\] has the slots \['a', 'b'\]"):
        prompt.fill("user", slots)


@pytest.mark.parametrize("data", [b"no section", b"text\n[user]\nx", b"[user]\nx\n[user]\ny"])
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(StageError, match=r"unique \[section\] lines"):
        parse_prompt("p", 1, data)


def test_unknown_names_say_what_exists() -> None:
    with pytest.raises(StageError, match=r"no prompt tag\.v99"):
        load_prompt("tag", 99)
    with pytest.raises(StageError, match="it has system, user"):
        load_prompt("tag", 1).text("form.brief")
