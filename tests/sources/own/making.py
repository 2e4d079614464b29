"""Small data of one's own, and what ingestion makes of it without an engine."""

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.pipeline.ingest import Ingestor, Made
from infinity_mm.sources.images import ImageStore
from infinity_mm.sources.own.check import check
from infinity_mm.sources.own.spec import OwnSpec, build


def png(number: int) -> bytes:
    """Return a picture that no other number gives."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 24), (number % 256, number // 256, 90)).save(stream, "PNG")
    return stream.getvalue()


def pictures(folder: Path, *names: str) -> None:
    """Write one picture per name."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))


def lines(path: Path, *rows: object) -> Path:
    """Write JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tar(path: Path, **members: bytes) -> Path:
    """Write a tar; `__` in a name stands for the dot."""
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def ingest(root: Path, family: str, **keys: object) -> list[dict[str, object]]:
    """Return the record or the quarantine row of every raw row of own data, after the check that commands make."""
    where = Location.of(root)
    columns = keys.pop("map", {})
    assert isinstance(columns, dict)
    spec = check(OwnSpec("my_set", family, tuple(sorted(columns.items())), **keys), where)  # type: ignore[arg-type]
    source = build(spec)
    prepared = Location.of(root.parent / f"{root.name}-prepared")
    ingestor = Ingestor(source, ImageStore(where, source.image_roots), ImageLimits())
    found: list[dict[str, object]] = []
    for split in source.reader.plan(where, source.card.files, prepared, 3).splits:
        raws = list(source.reader.read(where, split))
        assert len(raws) == split.rows, "as many rows as were planned"
        made = [ingestor.interpret(split.file, raw) for raw in raws]
        found += [{**one.record, "notes": one.attributes["notes"]} if isinstance(one, Made) else one for one in made]
    return found


def talk(record: dict[str, object]) -> list[tuple[str, str]]:
    """Return (first letter of the role, text) of every turn of a record, or the reason of a quarantine row."""
    if "messages" not in record:
        return [("!", str(record["reason"]))]
    return [(message["role"][0], message["content"]) for message in record["messages"]]  # type: ignore[attr-defined]
