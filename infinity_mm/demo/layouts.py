"""Writes drafts in the layouts of public sources; returns each row's place as the ledger names it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.demo.draft import Draft, Picture

#: Writes the rows of one source below a folder; returns one ``file#locator`` per row.
Layout = Callable[[Sequence[Draft], Path], list[str]]

_SPEAKER = {"user": "human", "assistant": "gpt", "system": "system"}
_CONFIG = "chart2text(cauldron,rendered+demo)"


def _save(picture: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture.data)


def _number(picture: Picture) -> int:
    return zlib.crc32(picture.name.encode()) % 900_000 + 1


def _marked(draft: Draft, token: str = "<image>", newline: str = "\n") -> list[tuple[str, str | None]]:
    """Return the turns with the pictures' places in the first user turn."""
    count = len(draft.pictures) if draft.placeholders is None else draft.placeholders
    turns: list[tuple[str, str | None]] = list(draft.turns)
    first = next((place for place, (role, _) in enumerate(turns) if role == "user"), None)
    if first is not None and count:
        text = turns[first][1] or ""
        marks = newline.join([token] * count)
        text = marks + newline + text if draft.placeholder_at == "start" else text + newline + marks
        turns[first] = ("user", text)
    return turns


def _conversations(draft: Draft) -> list[dict[str, str | None]]:
    return [{"from": _SPEAKER[role], "value": text} for role, text in _marked(draft)]


def llava(file: str, folder: str, name: Callable[[Draft, int], str]) -> Layout:
    """Return the layout of a LLaVA JSON array; `name` gives native ids."""

    def write(drafts: Sequence[Draft], root: Path) -> list[str]:
        rows = []
        for number, draft in enumerate(drafts):
            row: dict[str, Any] = {"id": draft.native_id or name(draft, number)}
            for picture in draft.pictures:
                if draft.image_path is None:
                    _save(picture, root / folder / f"{picture.name}{picture.suffix}")
                row["image"] = draft.image_path or f"{picture.name}{picture.suffix}"
            if folder not in ("", "images") and "image" in row and draft.image_path is None:
                row["image"] = f"{folder}/{row['image']}"
            row["conversations"] = _conversations(draft)
            rows.append(row)
        root.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
        return [f"{file}#item={number}" for number in range(len(rows))]

    return write


def docdownstream(drafts: Sequence[Draft], root: Path) -> list[str]:
    """JSON Lines with messages, ``<|image|>`` and pictures below imgs/."""
    lines = []
    for draft in drafts:
        paths = []
        for picture in draft.pictures:
            path = f"imgs/DUE_Benchmark/DocVQA/pngs/{picture.name}{picture.suffix}"
            _save(picture, root / path)
            paths.append(f"./{path}")
        messages = [{"role": role, "content": text} for role, text in _marked(draft, "<|image|>", "")]
        row = {"image": paths, "messages": messages, "task_name": "qa_sft", "dataset_name": "DocVQA"}
        lines.append(draft.raw if draft.raw is not None else json.dumps(row, ensure_ascii=False))
    root.mkdir(parents=True, exist_ok=True)
    (root / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"train.jsonl#line={number}" for number in range(1, len(lines) + 1)]


def infinity_instruct(drafts: Sequence[Draft], root: Path) -> list[str]:
    """JSON Lines without pictures; ids are md5 digests or numbers."""
    lines = []
    for number, draft in enumerate(drafts):
        identity: str | int = hashlib.md5(f"demo{number}".encode(), usedforsecurity=False).hexdigest()
        row = {
            "id": number if number % 5 == 0 else identity,
            "conversations": [{"from": _SPEAKER[role], "value": text} for role, text in draft.turns],
            "label": None if number % 3 else {"ability_en": ["question answering"], "ability_zh": ["问答"]},
            "langdetect": "en",
            "source": "Subjective",
        }
        lines.append(draft.raw if draft.raw is not None else json.dumps(row, ensure_ascii=False))
    root.mkdir(parents=True, exist_ok=True)
    (root / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"train.jsonl#line={number}" for number in range(1, len(lines) + 1)]


_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def docmatix(drafts: Sequence[Draft], root: Path) -> list[str]:
    """Parquet with lists of embedded pages and user/assistant pairs."""
    text = pa.struct([("user", pa.string()), ("assistant", pa.string()), ("source", pa.string())])
    schema = pa.schema([("images", pa.list_(_PICTURE)), ("texts", pa.list_(text))])
    rows = []
    for number, draft in enumerate(drafts):
        asked, given = draft.turns[0::2], draft.turns[1::2]
        texts = [
            {"user": question, "assistant": answer, "source": f"PDFA key: {1000 + number}"}
            for (_, question), (_, answer) in zip(asked, given, strict=True)
        ]
        rows.append({"images": [{"bytes": p.data, "path": None} for p in draft.pictures], "texts": texts})
    return _parquet(rows, schema, root, ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"))


def llava_onevision(drafts: Sequence[Draft], root: Path) -> list[str]:
    """Parquet with one embedded picture, in a folder whose name few file systems' users expect."""
    turn = pa.struct([("from", pa.string()), ("value", pa.string())])
    schema = pa.schema(
        [("id", pa.string()), ("image", _PICTURE), ("conversations", pa.list_(turn)), ("data_source", pa.string())]
    )
    rows = []
    for number, draft in enumerate(drafts):
        image = {"bytes": draft.pictures[0].data, "path": f"{number}.png"} if draft.pictures else None
        rows.append(
            {
                "id": draft.native_id or f"{number:012d}",
                "image": image,
                "conversations": _conversations(draft),
                "data_source": _CONFIG,
            }
        )
    return _parquet(rows, schema, root, (f"{_CONFIG}/train-00000-of-00001.parquet",))


def _parquet(rows: list[dict[str, Any]], schema: pa.Schema, root: Path, files: tuple[str, ...]) -> list[str]:
    places = []
    size = -(-len(rows) // len(files))
    for index, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen = rows[index * size : (index + 1) * size]
        pq.write_table(pa.Table.from_pylist(chosen, schema=schema), path, row_group_size=50)
        places += [f"{file}#row={number}" for number in range(len(chosen))]
    return places


def vqav2(drafts: Sequence[Draft], root: Path) -> list[str]:
    """Questions and annotations in two files, ten answers each, COCO file names."""
    questions, annotations = [], []
    used: dict[int, int] = {}
    for draft in drafts:
        picture = draft.pictures[0]
        image = _number(picture)
        used[image] = used.get(image, -1) + 1
        identity = image * 1000 + used[image]
        question, answer = draft.turns[0][1], draft.turns[1][1]
        questions.append({"image_id": image, "question": question, "question_id": identity})
        _save(picture, root / "train2014" / f"COCO_train2014_{image:012d}.jpg")
        if draft.joined:
            given = [answer] * 7 + [f"{answer} ", "not sure", answer]
            answers = [{"answer": a, "answer_confidence": "yes", "answer_id": k} for k, a in enumerate(given, 1)]
            annotations.append(
                {"question_id": identity, "image_id": image, "multiple_choice_answer": answer, "answers": answers}
            )
    file = "v2_OpenEnded_mscoco_train2014_questions.json"
    head = {"data_type": "mscoco", "data_subtype": "train2014"}
    (root / file).write_text(json.dumps({**head, "questions": questions}, ensure_ascii=False), encoding="utf-8")
    body = json.dumps({**head, "annotations": annotations[::-1]}, ensure_ascii=False)
    (root / "v2_mscoco_train2014_annotations.json").write_text(body, encoding="utf-8")
    return [f"{file}#item={number}" for number in range(len(questions))]


def coco_caption(drafts: Sequence[Draft], root: Path) -> list[str]:
    """images[] and annotations[] in one file; a caption is the answer of its draft."""
    images: dict[int, dict[str, Any]] = {}
    annotations = []
    for number, draft in enumerate(drafts):
        picture = draft.pictures[0]
        image = _number(picture)
        name = f"COCO_train2014_{image:012d}.jpg"
        if draft.joined:
            images[image] = {"id": image, "file_name": name, "width": picture.width, "height": picture.height}
            if draft.image_path is None:
                _save(picture, root / "train2014" / name)
        annotations.append({"id": number + 1, "image_id": image, "caption": draft.turns[1][1]})
    file = "captions_train2014.json"
    root.mkdir(parents=True, exist_ok=True)
    tree = {"info": {}, "images": list(images.values()), "annotations": annotations}
    (root / file).write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    return [f"{file}#item={number}" for number in range(len(annotations))]


def infinity_mm(drafts: Sequence[Draft], root: Path) -> list[str]:
    """WebDataset tars; the last one breaks off inside its last picture if that row is planted so."""
    size = -(-len(drafts) // 3)
    places = []
    for index in range(3):
        chosen = drafts[index * size : (index + 1) * size]
        file = f"stage2/demo/part{index}/{index:05d}.tar"
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for number, draft in enumerate(chosen):
                key = f"{index:02d}{number:04d}"
                _member(tar, f"{key}.json", json.dumps(_released(draft, key), ensure_ascii=False).encode())
                for picture in draft.pictures:
                    _member(tar, f"{key}{picture.suffix}", picture.data)
                if not draft.pictures and number % 2:
                    _member(tar, f"{key}.jpg", b"")  # how the publisher marks a sample without a picture
                places.append(f"{file}#member={key}.json")
        data = buffer.getvalue()
        if chosen and chosen[-1].plant is not None and chosen[-1].plant.trap == "truncated_tar":
            data = data[: len(data.rstrip(b"\0")) - 700]
        path.write_bytes(data)
    return places


def _released(draft: Draft, key: str) -> dict[str, Any]:
    row = {"id": key, "source": "demo", "conversations": _conversations(draft), "phash": [2**63 + 11]}
    return {**row, "image": "/path/of/the/image"} if draft.pictures else row


def _member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


LAYOUTS: dict[str, Layout] = {
    "llava_cc3m_595k": llava("chat.json", "images", lambda _, number: f"GCC_train_{number:09d}"),
    "llava_mix665k": llava("llava_v1_5_mix665k.json", "coco/train2017", lambda _, number: f"{number % 100:012d}"),
    "docdownstream": docdownstream,
    "docmatix": docmatix,
    "llava_onevision": llava_onevision,
    "vqav2": vqav2,
    "coco_caption": coco_caption,
    "infinity_mm": infinity_mm,
    "infinity_instruct": infinity_instruct,
    "mathv360k": llava("train_samples_all_tuning.json", "data_images/drawn", lambda _, number: f"drawn_{number}"),
}
