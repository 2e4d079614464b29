"""What the three engines share: pictures in, strictly checked replies out, and the isolation of a bad request."""

from __future__ import annotations

import functools
import io
import json
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, NoReturn, TypeVar

import jsonschema
import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from infinity_mm.fingerprint import canonical
from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.models.rules import PictureRule, fitted

Failure = Literal[
    "undecodable_image",  # a picture of the request cannot be decoded
    "image_too_large",  # a picture has more than MAX_PIXELS, or the pictures alone exceed max_model_len
    "image_too_narrow",  # a picture is a strip that the model's processor refuses
    "prompt_too_long",  # the prompt leaves no room for the longest answer within max_model_len
    "refused",  # the engine would not take the request: a bad schema, a picture it cannot process, HTTP 4xx
    "truncated",  # a constrained answer was cut off by max_tokens or by the end of the context
    "invalid_output",  # the answer came whole and does not satisfy its schema or choices
    "timeout",  # no answer in time
    "engine_error",  # the engine failed on this request and goes on
    "engine_died",  # the request brings the engine down, alone and again
]

#: Pixels; a picture that claims more is refused before it is decoded.
MAX_PIXELS: Final = 200_000_000
#: What decoders of damaged pictures raise.
_DECODE_FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    NotImplementedError,
    struct.error,
)
#: What engines raise in the middle of their work; a tuple because a bare `except Exception` would hide our own bugs.
ENGINE_FAULTS: Final = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AssertionError, OSError)

T = TypeVar("T")


class PictureError(ValueError):
    """A picture's bytes cannot be turned into pixels."""

    failure: Failure = "undecodable_image"


class LargePictureError(PictureError):
    """A picture has too many pixels to be decoded."""

    failure: Failure = "image_too_large"


class NarrowPictureError(PictureError):
    """A picture is longer, for its width, than its model takes."""

    failure: Failure = "image_too_narrow"


# --- requests --------------------------------------------------------------------------------------------------------


def open_picture(data: bytes, max_side: int) -> Image.Image:
    """Decode `data` into an upright RGB picture whose longer side is at most `max_side` pixels.

    Transparency is laid over white, 16-bit grey is scaled to 8 bits, EXIF orientation is applied.

    Raises
    ------
    LargePictureError
        The picture claims more than `MAX_PIXELS`.
    PictureError
        The bytes are no picture that Pillow reads, or are truncated.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise LargePictureError(f"{image.width} x {image.height} pixels; at most {MAX_PIXELS} are decoded")
            if ImageFile.LOAD_TRUNCATED_IMAGES:
                raise PictureError("Pillow is set to load truncated images; unset ImageFile.LOAD_TRUNCATED_IMAGES")
            image.draft("RGB", (max_side, max_side))  # JPEG decodes at a fraction of the size, never below max_side
            image.load()
            upright = ImageOps.exif_transpose(image)
            picture = _rgb(upright)
    except PictureError:
        raise
    except UnidentifiedImageError as fault:  # its message holds an address in memory, another one in every run
        raise PictureError("no picture format that Pillow reads") from fault
    except Image.DecompressionBombError as fault:
        raise LargePictureError(str(fault)) from fault
    except _DECODE_FAULTS as fault:
        raise PictureError(f"{type(fault).__name__}: {fault}") from fault
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return picture


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def open_pictures(request: Request, max_side: int, rule: PictureRule | None = None) -> list[Image.Image]:
    """Decode every picture of `request`, and scale up what is too small for the model's `rule`.

    Raises a `PictureError` whose message tells which picture failed.
    """
    pictures = []
    for index, data in enumerate(request.images):
        try:
            picture = open_picture(data, max_side)
            pictures.append(picture if rule is None else _scaled(picture, rule))
        except PictureError as error:
            raise type(error)(f"picture {index + 1} of {len(request.images)}: {error}") from error
    return pictures


def _scaled(picture: Image.Image, rule: PictureRule) -> Image.Image:
    size = fitted(rule, *picture.size)
    if isinstance(size, str):
        raise NarrowPictureError(size)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC)


#: Control marks of the common model families; an engine adds the special tokens of its own tokenizer.
_CONTROL = re.compile(
    r"<(?=(?:/?s|image|video|audio|(?:start|end|begin)_of_\w+|fake_token_around_image)>|\|[^|<>]{1,40}\|>)"
)


def neutralise(text: str, special_tokens: Iterable[str] = ()) -> str:
    """Break every control mark that stands literally in `text` with a word joiner (U+2060) after its first character.

    Text of a data set may contain ``<image>`` or an end-of-turn mark; unbroken, a tokenizer would read it as control.
    """
    text = _CONTROL.sub("<\u2060", text)
    for token in special_tokens:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]}\u2060{token[1:]}")
    return text


def messages(
    request: Request,
    picture_parts: Sequence[dict[str, Any]],
    special_tokens: Iterable[str] = (),
    picture_first: bool = False,
) -> list[Any]:
    """Return the request as chat messages: the system text, then pictures in order, then the prompt.

    With `picture_first` the system text, where there are pictures, follows them in the same turn: all that is asked
    about a picture then begins alike, and an engine that keeps prefixes computes it once.
    """
    specials = tuple(special_tokens)
    system, prompt = (neutralise(text, specials) for text in (request.system, request.prompt))
    if system and picture_first and picture_parts:
        system, prompt = "", f"{system}\n\n{prompt}"
    content = [*picture_parts, {"type": "text", "text": prompt}]
    turns: list[Any] = []
    if system:
        turns.append({"role": "system", "content": [{"type": "text", "text": system}]})
    turns.append({"role": "user", "content": content})
    return turns


def seed_of(request: Request) -> int:
    """Return the request's seed within 63 bits, the range that engines and servers accept."""
    return request.seed & 0x7FFF_FFFF_FFFF_FFFF


# --- replies ---------------------------------------------------------------------------------------------------------


def failed(request: Request, error: Failure, detail: object = "") -> Reply:
    """Return the reply of a request that got no usable answer."""
    return Reply(key=request.key, text=None, error=error, detail=str(detail)[:2000])


def over_context(request: Request, text_tokens: int, limit: int, detail: object) -> Reply:
    """Return the failure of a request that exceeds the context of `limit` tokens.

    The pictures are at fault where the text, of `text_tokens`, would fit alone.
    """
    if request.images and text_tokens < limit:
        advice = "; lower synth.model.max_image_side or max_image_tokens, or raise max_model_len if the model can"
        return failed(request, "image_too_large", f"text of {text_tokens} tokens, and {detail}{advice}")
    return failed(request, "prompt_too_long", detail)


def no_room(
    request: Request,
    pictures: Sequence[Image.Image],
    rule: PictureRule | None,
    limit: int,
    count: Callable[[str], int],
) -> Reply | None:
    """Return the failure of a request that leaves its longest answer no room within `limit` tokens, or None.

    Told before the engine sees it, from the text by `count` and the pictures by `rule`; what the chat template adds is
    left out, so an engine may still refuse what this lets pass.
    """
    text = request.system + request.prompt
    taken = 0 if rule is None else sum(rule.tokens(*picture.size) for picture in pictures)
    room = limit - taken - request.sampling.max_tokens
    if len(text.encode()) <= room or (words := count(text)) <= room:  # a token stands for a byte or more
        return None
    detail = (
        f"{words} tokens of text, {taken} of {len(pictures)} pictures and up to {request.sampling.max_tokens} of an "
        f"answer; max_model_len is {limit}"
    )
    return over_context(request, words, limit - request.sampling.max_tokens + 1, detail)


def checked(request: Request, text: str, cut_off: bool, prompt_tokens: int, completion_tokens: int) -> Reply:
    """Return the engine's answer as a reply, or as a failure where it does not satisfy the request's constraint.

    `cut_off` says that the engine stopped at a length limit; only a constrained answer is spoilt by that.
    """
    fault: Failure | None = None
    detail = constraint_fault(request, text)
    if detail is not None:
        fault = "truncated" if cut_off else "invalid_output"
    return Reply(
        key=request.key,
        text=text if fault is None else None,
        error=fault,
        detail="" if detail is None else f"{detail}; got {text[:500]!r}",
        finish_reason=None if fault is not None else "length" if cut_off else "stop",
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


def constraint_fault(request: Request, text: str) -> str | None:
    """Say why `text` breaks the request's schema or choices, or None where it satisfies them."""
    if request.choices is not None:
        return None if text in request.choices else f"not one of the {len(request.choices)} choices"
    if request.json_schema is None:
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate parses, and then cannot be stored
    except (ValueError, RecursionError) as fault:
        return f"not strict JSON: {fault}"
    error = jsonschema.exceptions.best_match(_validator(canonical(request.json_schema)).iter_errors(value))
    return None if error is None else f"breaks the schema at {error.json_path}: {error.message}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object repeats a key")
    return value


@functools.lru_cache(maxsize=256)
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema))


# --- isolation -------------------------------------------------------------------------------------------------------


def answer_isolating(
    run: Callable[[Sequence[T]], list[Reply]],
    blame: Callable[[T, Exception], Reply],
    alive: Callable[[], bool],
    items: Sequence[T],
) -> list[Reply]:
    """Run a batch; where it raises, halve it until the items that bring it down stand alone, and blame those.

    Parameters
    ----------
    run
        Answers a batch, in order, or raises one of `ENGINE_FAULTS`.
    blame
        Makes the failed reply of an item that raises on its own.
    alive
        Tells whether the engine still answers a harmless request.

    Raises
    ------
    Exception
        What `run` raised, where afterwards the engine is not alive: then no request is to blame.
    """
    if not items:
        return []
    try:
        return run(items)
    except ENGINE_FAULTS as fault:
        if not alive():
            raise
        if len(items) == 1:
            return [blame(items[0], fault)]
    middle = len(items) // 2
    head = answer_isolating(run, blame, alive, items[:middle])
    return head + answer_isolating(run, blame, alive, items[middle:])
