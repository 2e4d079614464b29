"""A model that remembers: what was asked before is answered from the cache, what is new is kept for the next run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from infinity_mm.synth.cache.entries import Entry, from_table, to_table
from infinity_mm.synth.cache.files import GenerationFiles
from infinity_mm.synth.cache.key import PLACE, generation_key
from infinity_mm.synth.calls import Call
from infinity_mm.synth.chat import Chat, EngineInfo, Reply, Request
from infinity_mm.synth.rows import Failed
from infinity_mm.synth.structured import read_reply


class Memory:
    """The generations that one partition finds and adds; writer and judge share it.

    `files` None keeps nothing beyond the partition.
    """

    def __init__(self, files: GenerationFiles | None) -> None:
        self._files = files
        self._found: dict[str, Entry] = {}
        self._new: dict[str, Entry] = {}
        self._places: set[str] = set()
        self._saved = False

    def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return what is known under each key; the files are looked at once for each picture."""
        places = {key[:PLACE] for key in keys} - self._places
        if places and self._files is not None:
            self._found |= {entry.key: entry for entry in from_table(self._files.find(places))}
        self._places |= places
        return [self._new.get(key) or self._found.get(key) for key in keys]

    def keep(self, entry: Entry) -> None:
        """Keep an answer until `save`."""
        self._new[entry.key] = entry

    def save(self) -> None:
        """Write what is new as one file; a process that is killed later loses none of it."""
        if self._files is not None and self._new:
            self._files.add(to_table(self._new.values()))
            self._saved = True
        self._found |= self._new
        self._new = {}

    def flush(self) -> None:
        """Save, merge files where there are many, and forget everything."""
        self.save()
        if self._files is not None and self._saved:
            self._files.compact()
        self._found, self._places, self._saved = {}, set(), False


@dataclass(frozen=True)
class RememberingChat:
    """The `Chat` of one model with its memory; `infinity_mm.synth.calls.call` asks the memory first."""

    chat: Chat
    memory: Memory
    #: See `model_identity`.
    model: str

    @property
    def info(self) -> EngineInfo:
        """Which engine, model and revision answers what is new."""
        return self.chat.info

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Ask the model itself."""
        return self.chat(requests)

    def close(self) -> None:
        """Free the model."""
        self.chat.close()

    def key(self, request: Request) -> str:
        """Return the name of the generation that a request asks for."""
        return generation_key(request, self.model)

    def recall(self, requests: Sequence[Request], keys: Sequence[str]) -> list[Call | None]:
        """Return the answers that were given before; one that the request's constraint refuses is none."""
        found = self.memory.recall(keys)
        return [None if entry is None else _call(r, entry) for r, entry in zip(requests, found, strict=True)]

    def save(self) -> None:
        """Write down what is new."""
        self.memory.save()

    def remember(self, key: str, made: Call) -> None:
        """Keep a usable answer; failures, and free texts that the context cut off, are made again."""
        request, reply = made.request, made.reply
        free = request.json_schema is None and request.choices is None
        cut = reply.finish_reason == "length" and reply.completion_tokens < request.sampling.max_tokens
        if reply.text is None or (free and cut) or isinstance(read_reply(request, reply), Failed):
            return
        self.memory.keep(
            Entry(
                key=key,
                text=reply.text,
                finish_reason=reply.finish_reason or "stop",
                attempts=made.attempts,
                prompt_tokens=made.prompt_tokens,
                completion_tokens=made.completion_tokens,
                prompt_file=request.prompt_file,
                engine=made.engine.model_dump_json(),
            )
        )


def _call(request: Request, entry: Entry) -> Call | None:
    """Return the call as it was made, or None where its answer does not fit the request."""
    reply = Reply(
        key=request.key,
        text=entry.text,
        finish_reason="length" if entry.finish_reason == "length" else "stop",
        prompt_tokens=entry.prompt_tokens,
        completion_tokens=entry.completion_tokens,
    )
    if isinstance(read_reply(request, reply), Failed):
        return None
    return replace(
        Call.of(request, reply, EngineInfo.model_validate_json(entry.engine)),
        request=request.model_copy(update={"seed": request.seed + entry.attempts - 1}),
        attempts=entry.attempts,
        cached=True,
    )
