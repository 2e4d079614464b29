"""Hold one engine in a process of its own, for tests: requests and replies travel over a socket.

vLLM takes over threads, signal handlers and 2 GB of memory, which a test session must get back.
"""

import sys
from multiprocessing.connection import Client
from typing import Any

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.select import load_chat


def sabotage(chat: Any, word: str) -> None:
    """Make a running vLLM fail while a prompt that holds `word` is in its queue; mend it where `word` is empty."""
    engine, run = chat._llm.llm_engine, type(chat._llm).wait_for_completion

    def wait_for_completion(**options: Any) -> Any:
        states = engine.output_processor.request_states.values()
        if any(word in engine.tokenizer.decode(state.prompt_token_ids) for state in states):
            raise RuntimeError("out of memory, say")
        return run(chat._llm, **options)

    chat._llm.wait_for_completion = wait_for_completion if word else lambda **options: run(chat._llm, **options)
    chat._dead = None


def main() -> None:
    with Client(sys.argv[1], family="AF_UNIX") as connection:
        chat = load_chat(ModelSpec.model_validate_json(sys.argv[2]))
        connection.send(chat.info)
        while (message := connection.recv()) is not None:
            try:
                connection.send(sabotage(chat, message) if isinstance(message, str) else chat(message))
            except ModelError as error:
                connection.send(error)
        chat.close()


if __name__ == "__main__":
    main()
