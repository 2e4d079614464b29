"""The families that own data can be of: what their files look like, and which fields their rows have.

Tables only, and no import of what reads files: the command line's help is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infinity_mm.record import IMAGE_ONLY, Category

#: What a field means, whatever its family calls it.
Kind = Literal[
    "turns", "prompt", "completion", "question", "context", "answer", "choices", "caption", "system", "images",
    "url", "id", "license", "language", "role", "content", "user", "assistant", "system_role",
]  # fmt: skip
#: Kinds that are no columns: keys of a turn, and words for its role.
TAGS: tuple[Kind, ...] = ("role", "content", "user", "assistant", "system_role")


@dataclass(frozen=True)
class Field:
    """One thing that a family looks for in a row."""

    #: What `--map FIELD=COLUMN` calls it.
    name: str
    kind: Kind
    #: Columns in which it is looked for where the map does not name it; the first that has a value counts.
    usual: tuple[str, ...]
    says: str


@dataclass(frozen=True)
class Family:
    """A layout of files that many data sets share."""

    name: str
    says: str
    fields: tuple[Field, ...]
    #: Fields of which a row must have one set.
    needs: tuple[tuple[str, ...], ...]
    #: The category of its records where none is given.
    category: Category
    #: Lower-case endings of the files that are read where no --files are named.
    suffixes: tuple[str, ...]
    #: One row, as people write it.
    row: str
    #: Options of an `infinity-mm ingest` that reads such rows, beside family, name, root and work.
    example: str = ""
    #: True where a row without picture is of no use.
    image_needed: bool = False
    #: How raw rows come: "coco" joins two arrays of one JSON file, "pictures" takes files of pictures for rows.
    layout: Literal["rows", "coco", "pictures"] = "rows"
    #: Globs of the files that are read where no --files are named and they match any.
    files: tuple[str, ...] = ()

    def field(self, name: str) -> Field | None:
        """Return a field by the name that a map uses."""
        return next((field for field in self.fields if field.name == name), None)

    @property
    def command(self) -> str:
        """A command to start with."""
        start = f"infinity-mm ingest --family {self.name} --name my_set --root DIR --work runs/my_set"
        return f"{start} {self.example}".rstrip()


_PACKED = ("", ".gz", ".zst", ".bz2")
_LINES = tuple(kind + packed for kind in (".json", ".jsonl", ".ndjson") for packed in _PACKED)
_ROW_FILES = (*_LINES, ".parquet")
_TABLES = (*_ROW_FILES, *(kind + packed for kind in (".csv", ".tsv") for packed in _PACKED))
_ID = Field("id", "id", ("id", "sample_id", "idx", "uid", "uuid", "question_id", "questionId", "key"), "native key")
_COMMON = (
    Field("license", "license", (), "licence of the row, where rows differ"),
    Field("language", "language", (), "language of the row, BCP 47, where rows differ"),
)
_TAGS = (
    Field("role", "role", (), "key of a turn's role, if neither `from` nor `role`"),
    Field("content", "content", (), "key of a turn's text, if none of `value`, `content`, `text`"),
    Field("user", "user", (), "word for the user's role, if not usual"),
    Field("assistant", "assistant", (), "word for the assistant's role, if not usual"),
    Field("system_role", "system_role", (), "word for the system's role, if not usual"),
)
_SYSTEM = Field("system", "system", ("system", "system_prompt"), "text of a system turn to put first")
_IMAGE_SAYS = "path, http(s) URL, bytes, {bytes, path}, base64, a list of them, or null"
_ANSWER = ("answer", "answers", "response", "output", "solution", "label")
_CAPTION = ("caption", "text", "txt", "captions", "description", "alt_text")
_PICTURE = ("image", "images", "image_path", "img", "jpg", "png", "file_name", "filename", "filepath")


_QUESTIONS = (
    Field("question", "question", ("question", "query", "instruction", "prompt", "problem"), "text of the user's turn"),
    Field("input", "context", ("input",), "text that follows the question on a line of its own"),
    Field("answer", "answer", _ANSWER, "text; of a list the most frequent; with choices a letter or a position from 0"),
    Field("choices", "choices", ("choices", "options"), "list of options: the answer becomes a letter"),
)

FAMILIES: tuple[Family, ...] = (
    Family(
        "llava_json",
        "LLaVA's and ShareGPT's form: turns of from/value",
        (
            Field("conversations", "turns", ("conversations", "conversation", "messages"), "list of turns"),
            Field("image", "images", ("image", "images"), _IMAGE_SAYS),
            _SYSTEM,
            _ID,
            *_COMMON,
            *_TAGS,
        ),
        (("conversations",),),
        "general",
        _ROW_FILES,
        '{"id": "1", "image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\\nWhat?"}, '
        '{"from": "gpt", "value": "A cat."}]}',
        "--image-root images",
    ),
    Family(
        "chat_messages",
        "what LLaMA-Factory and TRL train on: messages and images; content is text or a list of typed parts",
        (
            Field("messages", "turns", ("messages", "conversations", "conversation"), "list of turns"),
            Field("images", "images", ("images", "image"), _IMAGE_SAYS),
            Field("prompt", "prompt", ("prompt",), "text or turns that the completion follows"),
            Field("completion", "completion", ("completion", "chosen"), "text or turns to train on"),
            _SYSTEM,
            _ID,
            *_COMMON,
            *_TAGS,
        ),
        (("messages",), ("completion",)),
        "general",
        _ROW_FILES,
        '{"messages": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "A cat."}], '
        '"images": ["a.jpg"]}',
        "--map messages=dialog --map images=photos",
    ),
    Family(
        "hf_parquet_image",
        "tables of the Hugging Face hub: an image column of {bytes, path} beside turns, a question or a caption",
        (
            Field("image", "images", _PICTURE, _IMAGE_SAYS),
            Field("conversations", "turns", ("conversations", "messages", "texts"), "list of turns, or of pairs"),
            *_QUESTIONS,
            Field("caption", "caption", _CAPTION, "text about the picture"),
            _SYSTEM,
            _ID,
            *_COMMON,
            *_TAGS,
        ),
        (("conversations",), ("question", "answer"), ("caption",)),
        "general",
        _ROW_FILES,
        '{"image": {"bytes": b"...", "path": "a.jpg"}, "question": "What?", "answer": "A cat."}',
        "--map question=query --map answer=label",
    ),
    Family(
        "one_file_qa",
        "one question and its answer a row: a list, a list under a key such as `data`, or an object keyed by id",
        (*_QUESTIONS, Field("image", "images", _PICTURE, _IMAGE_SAYS), _SYSTEM, _ID, *_COMMON),
        (("question", "answer"),),
        "general",
        _TABLES,
        '{"question": "What?", "answer": "A cat.", "image": "a.jpg"}',
        "--map question=query --map image=picture",
    ),
    Family(
        "image_text_pairs",
        "a picture, by path, by URL or embedded, and one text; URLs are downloaded first",
        (
            Field("image", "images", _PICTURE, _IMAGE_SAYS),
            Field("url", "url", ("url", "URL", "image_url"), "where to download the picture; not used beside `image`"),
            Field("caption", "caption", (*_CAPTION, "TEXT"), "text; of a list the first"),
            _ID,
            *_COMMON,
        ),
        (("image", "caption"), ("url", "caption")),
        "caption",
        _TABLES,
        '{"url": "https://example.org/a.jpg", "caption": "A cat."}',
        "--map url=link --map caption=alt",
        image_needed=True,
    ),
    Family(
        "text_only",
        "conversations, or questions and answers, without pictures",
        (
            Field("messages", "turns", ("messages", "conversations", "conversation", "chosen"), "list of turns"),
            *_QUESTIONS,
            _SYSTEM,
            _ID,
            *_COMMON,
            *_TAGS,
        ),
        (("messages",), ("question", "answer")),
        "text_instruct",
        _ROW_FILES,
        '{"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]}',
        "--map question=instruction --map answer=output",
    ),
    Family(
        "webdataset_tar",
        "tars of samples: <key>.json (turns, question or caption) or <key>.txt (caption), and the pictures of that key",
        (
            Field("conversations", "turns", ("conversations", "messages", "texts"), "key of the json: list of turns"),
            *_QUESTIONS,
            Field("caption", "caption", _CAPTION, "key of the json, or `txt` for the member of that name"),
            Field("image", "images", ("image", "images"), "only where a sample has no picture member"),
            _SYSTEM,
            Field("id", "id", (*_ID.usual, "__key__"), "native key"),
            *_COMMON,
            *_TAGS,
        ),
        (("conversations",), ("question", "answer"), ("caption",)),
        "general",
        (".tar",),
        "000000.jpg, 000000.json or 000000.txt",
        "--category caption",
    ),
    Family(
        "coco_captions",
        "COCO's form: `annotations` joined with `images` of the same file; also Karpathy's list",
        (
            Field("caption", "caption", ("caption",), "text; of a list the first"),
            Field("file_name", "images", ("file_name", "image"), "name of the picture"),
            Field("url", "url", (), "such as coco_url: where to download it, where there is no file name"),
            Field("id", "id", ("id", "image_id"), "native key"),
            *_COMMON,
        ),
        (("caption", "file_name"), ("caption", "url")),
        "caption",
        (".json",),
        '{"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": [{"image_id": 7, "caption": "A cat."}]}',
        "--image-root train2014 --files 'captions_*.json'",
        image_needed=True,
        layout="coco",
        files=("captions_*.json", "annotations/captions_*.json", "*_karpathy_*.json"),
    ),
    Family(
        "image_only",
        "pictures without texts, to write synthetic data about: folders, zips or tars of them, else tables; texts are "
        "not used, and the pictures alone are never exported",
        (
            Field("image", "images", _PICTURE, _IMAGE_SAYS),
            Field("url", "url", ("url", "URL", "image_url"), "where to download the picture; not used beside `image`"),
            _ID,
            _COMMON[0],
        ),
        (("image",), ("url",)),
        IMAGE_ONLY,
        _TABLES,
        'a/001.jpg, b.zip, c.tar; or {"image": "a/001.jpg"}',
        "--license CC-BY-4.0",
        image_needed=True,
        layout="pictures",
    ),
)
NAMES = tuple(family.name for family in FAMILIES)


def family_named(name: str) -> Family | None:
    """Return a family by its name."""
    return next((family for family in FAMILIES if family.name == name), None)


def is_image_only(name: str | None) -> bool:
    """True for a family whose rows are pictures alone."""
    family = None if name is None else family_named(name)
    return family is not None and family.category == IMAGE_ONLY
