"""ShareGPT4V / ShareGPT-4o ("Sharegpt4")."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="sharegpt4",
        title='ShareGPT4V / ShareGPT-4o ("Sharegpt4")',
        family="llava_json",
        category="general",
        license="CC-BY-NC-4.0",
        paper_size={"infinity-mm": "3.2M"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("Lin-Chen/ShareGPT4V", "OpenGVLab/ShareGPT-4o"),
        hub_is_root=False,
        urls=("https://github.com/ShareGPT4Omni/ShareGPT4V/blob/master/docs/Data.md",),
        files=("sharegpt4v_*.json", "share-captioner_*.json", "image_caption/*.jsonl"),
        access="open",
        language="und",
        unique_ids=False,
        traps=(
            "pictures come from ten downloads; half-present folders are common",
            "one id is used by several rows of one picture",
            "the mix665k file holds 40,688 rows without picture",
        ),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("", "data", "mnt/petrelfs/wangwenhai/workspace_cef/4o/image"),
)
