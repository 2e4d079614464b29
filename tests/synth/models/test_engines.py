"""Real architectures in real engines: settings are accepted, and a prompt has the tokens that the rules say."""

import importlib.util
import io
import json

import pytest
from PIL import Image

from infinity_mm.synth.chat import ModelSpec, Request, Sampling
from infinity_mm.synth.engines import common
from infinity_mm.synth.engines.hosted import HostedChat
from infinity_mm.synth.engines.select import vllm_is_cpu_build
from infinity_mm.synth.models.resolving import model_rules
from tests.synth.models import tiny

SHORT = Sampling(max_tokens=4)
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["score"],
    "additionalProperties": False,
}
#: Most tokens of a picture: below what the checkpoints would take, so that their processors must be told.
BUDGETS = {"qwen2_5_vl": 230, "idefics3": 70, "smolvlm": 70}


def picture(width, height):
    stream = io.BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


PICTURES = [picture(*size) for size in ((100, 100), (640, 480), (1500, 300), (20, 90), (3, 5))]


@pytest.fixture(
    scope="module",
    params=[
        ("qwen2_5_vl", "transformers"),
        pytest.param(("qwen2_5_vl", "vllm"), marks=pytest.mark.slow),
        pytest.param(("idefics3", "vllm"), marks=pytest.mark.slow),
        pytest.param(("smolvlm", "vllm"), marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def loaded(request, tmp_path_factory):
    """Return (chat, specification, rules) of a tiny checkpoint in an engine."""
    family, engine = request.param
    needed = {"vllm": ["vllm"], "transformers": ["llguidance"]}[engine] + ["num2words"] * (family == "smolvlm")
    absent = [package for package in needed if importlib.util.find_spec(package) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed")
    if engine == "vllm" and not vllm_is_cpu_build():
        pytest.skip("vLLM is installed for GPUs")
    folder = tmp_path_factory.mktemp("checkpoint")
    getattr(tiny, family)(folder)
    spec = ModelSpec(name=str(folder), engine=engine, max_image_side=1024, max_image_tokens=BUDGETS[family])
    rules = model_rules(spec, folder)
    assert rules.processor, "the processor is told nothing, so the test would show nothing"
    chat = HostedChat(spec)
    yield chat, spec, rules
    chat.close()


def test_pictures_take_the_tokens_that_the_rules_say(loaded):
    chat, spec, rules = loaded
    bare = chat([Request(key="bare", prompt="Say.", sampling=SHORT)])[0].prompt_tokens
    asked = [Request(key=str(k), prompt="Say.", images=(data,), sampling=SHORT) for k, data in enumerate(PICTURES)]
    for request, reply in zip(asked, chat(asked), strict=True):
        assert reply.error is None, reply
        (seen,) = common.open_pictures(request, spec.max_image_side, rules.pictures)
        assert reply.prompt_tokens - bare == rules.picture_tokens(*seen.size) <= spec.max_image_tokens


def test_structured_answers(loaded):
    chat, _, _ = loaded
    asked = [
        Request(key=str(k), prompt="Judge.", images=(data,), json_schema=SCHEMA, sampling=Sampling(max_tokens=24))
        for k, data in enumerate(PICTURES)
    ]
    for reply in chat(asked):
        assert 1 <= json.loads(reply.text)["score"] <= 9


def test_what_has_no_room_says_so_in_figures_and_leaves_its_neighbours_alone(loaded):
    chat, spec, rules = loaded
    long, (data, larger, *_) = "word " * 2 * spec.max_model_len, PICTURES
    (seen,) = common.open_pictures(Request(key="one", prompt="", images=(larger,)), spec.max_image_side, rules.pictures)
    many = spec.max_model_len // rules.picture_tokens(*seen.size) + 1
    replies = chat(
        [
            Request(key="fine", prompt="Say.", images=(data,), sampling=SHORT),
            Request(key="long", prompt=long, images=(data,), sampling=SHORT),
            Request(key="answer", prompt="Say.", sampling=Sampling(max_tokens=spec.max_model_len)),
            Request(key="many", prompt="Say.", images=(larger,) * many, sampling=SHORT),
            Request(key="too", prompt="Say.", images=(data,), sampling=SHORT),
        ]
    )
    assert [reply.error for reply in replies] == [None, "prompt_too_long", "prompt_too_long", "image_too_large", None]
    for reply in replies[1:4]:
        assert str(spec.max_model_len) in reply.detail
    assert "max_image_tokens" in replies[3].detail
    assert replies[0].text == replies[4].text


def test_a_strip_is_a_reason_of_its_own(loaded):
    chat, _, rules = loaded
    strip, whole = chat(
        [Request(key=key, prompt="Say.", images=(data,), sampling=SHORT)
         for key, data in (("strip", picture(1000, 4)), ("whole", PICTURES[0]))]
    )  # fmt: skip
    assert whole.error is None
    assert strip.error == ("image_too_narrow" if rules.pictures.largest_aspect < 250 else None)
