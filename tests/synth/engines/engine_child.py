"""Hold one engine in a process of its own, for tests: requests and replies travel over a socket.

vLLM takes over threads, signal handlers and 2 GB of memory, which a test session must get back.
"""

import sys
from multiprocessing.connection import Client

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.select import load_chat


def main() -> None:
    with Client(sys.argv[1], family="AF_UNIX") as connection:
        chat = load_chat(ModelSpec.model_validate_json(sys.argv[2]))
        connection.send(chat.info)
        while (requests := connection.recv()) is not None:
            try:
                connection.send(chat(requests))
            except ModelError as error:
                connection.send(error)
        chat.close()


if __name__ == "__main__":
    main()
