"""The honest rows of the demo: scenes and texts dealt out to sources."""

from __future__ import annotations

from infinity_mm.demo.draft import Ask, Draft, Scene, Turns, dice, qa
from infinity_mm.demo.drawn import drawn_pictures
from infinity_mm.demo.guard import Guard
from infinity_mm.demo.photos import photo_scenes
from infinity_mm.demo.render_charts import chart_scene
from infinity_mm.demo.render_documents import document_scene
from infinity_mm.demo.render_tables import table_scene
from infinity_mm.demo.texts import text_drafts

CAPTION_PROMPTS = (
    "Provide a brief description of the given image.",
    "Describe the image concisely.",
    "Share a concise interpretation of the image provided.",
    "Give a short and clear explanation of the image.",
)
#: Pictures of the kinds that the embedded model knows.
DRAWN = 65
_SHORT = "Answer the question using a single word or phrase."


def honest_rows(seed: int) -> dict[str, list[Draft]]:
    """Return the rows of every source that no trap is planted in, source by source."""
    photos = photo_scenes(seed)
    documents = [document_scene(seed, f"doc{n:03d}") for n in range(70)]
    charts = [chart_scene(seed, f"chart{n:03d}") for n in range(80)]
    tables = [table_scene(seed, f"table{n:03d}") for n in range(40)]
    rows = {
        "llava_cc3m_595k": [_caption(seed, scene, "cc3m", tokenised=True) for scene in photos],
        "coco_caption": [Draft(qa("", text), (s.picture,)) for s in photos[:90] for text in s.captions[1:3]],
        "vqav2": [Draft(qa(a.question, a.short), (s.picture,)) for s in photos for a in s.asks[:3]],
        "llava_mix665k": [
            *(_chat(scene.asks[:4], scene) for scene in photos[:110] if len(scene.asks) > 1),
            *text_drafts(seed, 60, "mix"),
        ],
        "docdownstream": [Draft(qa(a.question, a.short.lower()), (s.picture,)) for s in documents for a in s.asks[:3]],
        "docmatix": [_pages(documents[n : n + 1 + n % 3]) for n in range(0, 60, 2)],
        "llava_onevision": [
            Draft(qa(f"{a.question}\n{_SHORT}", a.short), (s.picture,), topic=s.topic)
            for s in (*charts, *tables)
            for a in s.asks[:2]
        ],
        "infinity_mm": [
            *(_caption(seed, scene, "mm") for scene in photos[20:110]),
            *text_drafts(seed, 30, "mm"),
        ],
        "infinity_instruct": text_drafts(seed, 330, "instruct"),
        "mathv360k": [_chat(drawn.scene.asks, drawn.scene) for drawn in drawn_pictures(seed, DRAWN)],
    }
    guard = Guard()
    return {source: [row for row in drafts if guard.admit(row)] for source, drafts in rows.items()}


def _caption(seed: int, scene: Scene, purpose: str, tokenised: bool = False) -> Draft:
    rng = dice(seed, f"caption.{purpose}", scene.picture.name)
    text = scene.captions[0]
    if tokenised:
        text = text.lower().replace(",", " ,").rstrip(".") + " ."
        return Draft(
            qa(rng.choice(CAPTION_PROMPTS), text), (scene.picture,), placeholder_at=rng.choice(("start", "end"))
        )
    details = " ".join(ask.full for ask in scene.asks[:2])
    return Draft(
        qa("What can be seen here? Mention two details.", f"{text[:1].upper()}{text[1:]}. {details}"), (scene.picture,)
    )


def _chat(asks: tuple[Ask, ...], scene: Scene) -> Draft:
    turns: Turns = tuple(turn for ask in asks for turn in qa(ask.question, ask.full))
    return Draft(turns, (scene.picture,))


def _pages(scenes: list[Scene]) -> Draft:
    turns: list[tuple[str, str]] = []
    for number, scene in enumerate(scenes, 1):
        where = f" (page {number})" if len(scenes) > 1 else ""
        for ask in scene.asks[3:5]:
            turns += [(ask.question + where, ask.full)]
    flat: Turns = tuple(turn for question, answer in turns for turn in qa(question, answer))
    return Draft(flat, tuple(scene.picture for scene in scenes))
