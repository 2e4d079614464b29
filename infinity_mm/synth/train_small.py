"""Train the small model that ships as the embedded default.

``python -m infinity_mm.synth.train_small runs/small-vlm`` goes on where it was stopped; the checkpoint is in
``runs/small-vlm/checkpoint``. See `infinity_mm.synth.small_vlm`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from infinity_mm.errors import InfinityMMError
from infinity_mm.synth.small_vlm.train import TrainParams, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, train, and return an exit status."""
    parser = argparse.ArgumentParser(prog="python -m infinity_mm.synth.train_small", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the state and of the checkpoint")
    defaults = TrainParams()
    for name, field in TrainParams.model_fields.items():
        kind = type(getattr(defaults, name))
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=field.default)
    options = vars(parser.parse_args(arguments))
    out = options.pop("out")
    try:
        folder = train(out, TrainParams(**options), log=lambda line: print(line, flush=True))
    except ValidationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except InfinityMMError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
