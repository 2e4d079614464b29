"""Are the synthetic rows of a run true? Compares those about drawn pictures with what is drawn in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from infinity_mm.demo.drawn import drawn_pictures
from infinity_mm.demo.rows import DRAWN
from infinity_mm.synth.small_vlm.evaluate import is_true


@dataclass(frozen=True)
class Truth:
    """Kept synthetic rows about drawn pictures."""

    rows: int
    #: Question and answer of the rows that are not true of their picture.
    wrong: tuple[tuple[str, str], ...]

    @property
    def share(self) -> float:
        """Share of true rows, 0 to 1; 1 where there are none."""
        return 1.0 - len(self.wrong) / self.rows if self.rows else 1.0


def truth(work: Path, seed: int = 17) -> Truth:
    """Look up each kept synthetic row of a run in the truth of the drawn pictures that the demo made from `seed`."""
    scenes = {drawn.sha256: drawn.truth for drawn in drawn_pictures(seed, DRAWN)}
    rows, wrong = 0, []
    for part in sorted((work / "records/synthetic").glob("part-*.parquet")):
        for row in pq.read_table(part, columns=["images", "extra"]).to_pylist():
            scene = scenes.get(row["images"][0]["sha256"])
            said = json.loads(row["extra"])
            if scene is None or "question" not in said:
                continue
            rows += 1
            leaf, form = said["instruction_type"]["leaf"], said["answer_format"]
            others = [option for option in said["options"] if option != said["answer"]]
            if not is_true(scene, leaf, form, said["question"], said["answer"], others):
                wrong.append((said["question"], said["answer"]))
    return Truth(rows, tuple(wrong))
