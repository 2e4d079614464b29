"""Measure a model on drawn pictures whose truth is known; by default the embedded one.

``python -m infinity_mm.synth.evaluate_small --engine vllm --pictures 200`` prints a table: task by kind of picture
(combinations seen in training, combinations held out, pictures of no known kind).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from infinity_mm.errors import InfinityMMError
from infinity_mm.synth.chat import EngineName, ModelSpec
from infinity_mm.synth.engines.select import load_chat
from infinity_mm.synth.small_vlm.evaluate import ask, cases, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, ask, print, and return an exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m infinity_mm.synth.evaluate_small", description=__doc__.split("\n")[0]
    )
    parser.add_argument("model", nargs="?", default="embedded", help="hub name, local folder, or 'embedded'")
    parser.add_argument("--engine", choices=get_args(EngineName), default="auto")
    parser.add_argument("--base-url", help="of an OpenAI-compatible server, with --engine openai")
    parser.add_argument("--pictures", type=int, default=100, help="pictures of each kind; each gets every task")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", type=int, default=128, help="pixels a side of the pictures")
    parser.add_argument("--temperature", type=float, default=0.0, help="of the requests that write questions")
    parser.add_argument("--wrong", action="store_true", help="show some wrong replies of each group")
    options = parser.parse_args(arguments)
    spec = ModelSpec(name=options.model, engine=options.engine, base_url=options.base_url)
    try:
        chat = load_chat(spec)
        scores = ask(chat, cases(options.pictures, options.seed, options.side, options.temperature))
        info = chat.info
        chat.close()
    except InfinityMMError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    print(f"{info.model} {info.revision}, {info.engine} {info.version}, seed {options.seed}")
    print(table(scores))
    if options.wrong:
        for (group, split), score in scores.items():
            for key, said, target in score.wrong:
                print(f"\n{group} ({split}) {key}\n  said  {said}\n  right {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
