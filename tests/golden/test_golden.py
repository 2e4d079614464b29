"""Real records of public data sets, as unified records or quarantine rows, against files that were checked by eye.

To renew after a deliberate change: ``INFINITY_MM_RENEW_GOLDEN=1 python -m pytest tests/golden``, then read the diff.
"""

import base64
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.pipeline.ingest import Ingestor, Made
from infinity_mm.sources.base import Quarantine, Sample
from infinity_mm.sources.catalogue import load
from infinity_mm.sources.images import ImageStore

HERE = Path(__file__).parent
#: Folder of the samples -> source. `stvqa`, `docowl_llmdoc` and `coco_caption` hold other people's re-packings, and
#: `mmc` a row of the benchmark that lies beside the training data: every row of these must be refused with a reason.
#: The last four give URLs: nothing is downloaded here, so that pairs are quarantined and documents lose their pictures.
FOLDERS = {
    "allava": "allava",
    "aokvqa": "a_okvqa",
    "docdownstream": "docdownstream",
    "docvqa": "docvqa",
    "geoqa_plus": "geoqa_plus",
    "gqa": "gqa",
    "infinity_instruct": "infinity_instruct",
    "infinity_mm": "infinity_mm",
    "infinity_preference": "infinity_preference",
    "llava_cc3m": "llava_cc3m_595k",
    "llava_mix665k": "llava_mix665k",
    "llava_onevision": "llava_onevision",
    "ocrvqa": "ocr_vqa",
    "scienceqa": "scienceqa_image",
    "textcaps": "textcaps",
    "vizwiz_caption": "vizwiz_caption",
    "vqav2": "vqav2",
    "coco_caption": "coco_caption",
    "stvqa": "st_vqa",
    "docowl_llmdoc": "docdownstream",
    "visdial": "visdial",
    "cocotext": "coco_text",
    "mmc": "mmc_instruction",
    "obelics": "obelics",
    "mmc4": "mmc4",
    "laion": "laion_2b_en",
    "coyo": "coyo_700m",
}
#: The samples have no pictures; a grey one under every name that these sources ask for first shows what becomes of the
#: annotations.
WITH_GREY_PICTURES = {"visdial", "cocotext"}
GREY = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19i"
    "Z2hnPk1xeXBkeFxlZ2P/wAALCAAYACABAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAI"
    "AQEAAD8AAAAA/9k="
)
#: Rows per file that are written out; the others only count.
SHOWN = 5


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def ingest(folder: Path, name: str, prepared: Path) -> dict[str, object]:
    """Return what ingestion makes of a folder: per file the first rows in short form, and counts by outcome."""
    source = load(name)
    root = Location.of(folder)
    plan = source.reader.plan(root, source.card.files, Location.of(prepared), 1000)
    ingestor = Ingestor(source, ImageStore(root, source.image_roots), ImageLimits())
    files: dict[str, object] = {}
    for split in plan.splits:
        shown, counts = [], {}
        for raw in source.reader.read(root, split):
            made = ingestor.interpret(split.file, raw)
            outcome = "record" if isinstance(made, Made) else made["reason"]
            counts[outcome] = counts.get(outcome, 0) + 1
            if len(shown) < SHOWN:
                shown.append(in_short(made) | (parsed(source.parse(raw.row)) if source.downloads else {}))
        files[split.file] = {"counts": counts, "rows": shown}
    return files


def in_short(made: Made | dict[str, object]) -> dict[str, object]:
    if not isinstance(made, Made):
        return {key: made[key] for key in ("id", "source_id", "source_ref", "reason", "detail")}
    record = made.record
    return {
        **{key: record[key] for key in ("id", "source_id", "source_ref", "category", "license", "images")},
        "image_bytes": [digest(data) for data in record["image_bytes"]],
        "messages": [
            {"role": m["role"], "begins": m["content"][:60], "sha256": digest(m["content"].encode())}
            for m in record["messages"]
        ],
        "extra": digest(record["extra"].encode()),
        "notes": made.attributes["notes"],
    }


def add_pictures(folder: Path, name: str, to: Path) -> Path:
    """Return a copy of a folder with a grey picture under the first name of every picture of its rows."""
    shutil.copytree(folder, to)
    source, root = load(name), Location.of(to)
    for split in source.reader.plan(root, source.card.files, Location.of(to.with_suffix(".prepared")), 1000).splits:
        for raw in source.reader.read(root, split):
            sample = source.parse(raw.row)
            for reference in sample.images:
                (to / reference.path).write_bytes(GREY)
    return to


def parsed(sample: Sample | Quarantine) -> dict[str, object]:
    """Return what parsing gives, before pictures are asked for."""
    if isinstance(sample, Quarantine):
        return {}
    return {
        "parsed": {
            "messages": [message.model_dump() for message in sample.messages],
            "urls": [[image.url, image.checksum, image.optional] for image in sample.images],
            "extra": dict(sample.extra),
        }
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_records(folder, samples, tmp_path):
    root = samples / folder
    if folder in WITH_GREY_PICTURES:
        root = add_pictures(root, FOLDERS[folder], tmp_path / folder)
    found = json.loads(json.dumps(ingest(root, FOLDERS[folder], tmp_path)).replace(str(samples), "SAMPLES"))
    path = HERE / f"{folder}.json"
    if os.environ.get("INFINITY_MM_RENEW_GOLDEN"):
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))
