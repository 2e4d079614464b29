"""Our turns under the chat templates that ship with the installed packages; the others come with the weights."""

import importlib.util
from pathlib import Path

import pytest

from infinity_mm.synth.chat import ModelSpec, Request
from infinity_mm.synth.engines import common
from infinity_mm.synth.models.families import FAMILIES
from infinity_mm.synth.models.resolving import model_rules

REQUEST = Request(key="a", system="Look closely.", prompt="What is <image> here?", images=(b"1", b"2"))


def turns(parts):
    return common.messages(REQUEST, parts)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_system_turn_and_a_user_turn_with_its_pictures_first(family):
    """All families take these two turns; what differs is only what their template is told."""
    system, user = turns([{"type": "image"}] * 2)
    assert (system["role"], user["role"]) == ("system", "user")
    assert [part["type"] for part in user["content"]] == ["image", "image", "text"]
    assert set(family.template) <= {"enable_thinking"}


def test_with_the_picture_first_the_instructions_follow_it_and_nothing_is_lost():
    (user,) = common.messages(REQUEST, [{"type": "image"}] * 2, picture_first=True)
    assert [part["type"] for part in user["content"]] == ["image", "image", "text"]
    assert user["content"][-1]["text"] == "Look closely.\n\nWhat is <\u2060image> here?"
    blind = REQUEST.model_copy(update={"images": ()})
    assert common.messages(blind, [], picture_first=True) == common.messages(blind, [])


@pytest.mark.parametrize(
    ("model", "first"),
    [
        ({"name": "embedded"}, False),
        ({"name": "Qwen/Qwen2.5-VL-7B-Instruct"}, True),
        ({"name": "OpenGVLab/InternVL3-8B-hf"}, True),
        ({"name": "openbmb/MiniCPM-V-4.6"}, True),
        ({"name": "HuggingFaceTB/SmolVLM2-2.2B-Instruct"}, False),
        ({"name": "somebody/else"}, False),
        ({"name": "somebody/else", "picture_first": True}, True),
        ({"name": "Qwen/Qwen3-VL-8B-Instruct", "picture_first": False}, False),
    ],
)
def test_the_family_or_the_recipe_says_what_comes_first(model, first):
    assert model_rules(ModelSpec.model_validate(model)).picture_first is first


def render(template, messages, **arguments):
    jinja2 = pytest.importorskip("jinja2")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True, **arguments)


def test_smolvlm_s_template():
    processing = pytest.importorskip("transformers.models.smolvlm.processing_smolvlm")
    text = render(processing.DEFAULT_CHAT_TEMPLATE, turns([{"type": "image"}] * 2))
    system, user, rest = text.split("<end_of_utterance>")
    assert system == "<|im_start|>System: Look closely."
    assert user.strip() == "User:<image><image>What is <\u2060image> here?"
    assert rest.strip() == "Assistant:"


def test_minicpm_s_template_knows_the_argument_that_it_is_told():
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        pytest.skip("vllm is not installed")
    path = Path(spec.origin).parent / "transformers_utils" / "chat_templates" / "template_minicpmv45.jinja"
    flat = [{"role": "system", "content": "Look."}, {"role": "user", "content": "What?"}]
    thinking, silent = (render(path.read_text(), flat, enable_thinking=given) for given in (True, False))
    assert silent.startswith("<|im_start|>system\nLook.<|im_end|>\n<|im_start|>user\nWhat?")
    assert silent.endswith("<think>\n\n</think>\n\n")
    assert not thinking.endswith("</think>\n\n")
