"""The planted faults, each with what the books must say of it."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from typing import Any

from PIL import Image

from infinity_mm.demo.draft import Draft, Expect, Picture, Turns, broken, dice, encode, picture_of, qa

Rows = dict[str, list[Draft]]

KEPT = Expect("kept")
_COPY = Expect("dropped", "dedup", ("exact_pair", "near_pair"))
_SAME_TEXT = Expect("dropped", "dedup", ("exact_text", "near_text"))


def dropped(stage: str, *reasons: str) -> Expect:
    """Return the expectation of a drop."""
    return Expect("dropped", stage, reasons)


def lost(*reasons: str) -> Expect:
    """Return the expectation of a quarantine at ingest."""
    return Expect("quarantined", "ingest", reasons)


def plant_all(seed: int, rows: Rows) -> Rows:
    """Return the rows with every trap added; honest rows keep their order."""
    grown = {source: list(drafts) for source, drafts in rows.items()}
    for planter in (_copies, _other_questions, _templates, _texts, _pictures, _paths, _turns, _lines):
        planter(grown, dice(seed, planter.__name__))
    return grown


def _decoded(picture: Picture) -> Image.Image:
    with Image.open(io.BytesIO(picture.data)) as image:
        return image.convert("RGB")


def _copies(rows: Rows, rng: random.Random) -> None:
    """Copies of captioned photographs in another source: the same bytes, encoded again, resized."""
    chosen = rng.sample(range(20, len(rows["llava_cc3m_595k"])), 18)
    for number, place in enumerate(chosen):
        original = rows["llava_cc3m_595k"][place]
        picture = original.pictures[0]
        trap = ("exact_copy", "reencoded_copy", "resized_copy")[number % 3]
        if trap == "reencoded_copy":
            picture = encode(_decoded(picture), f"{picture.name}-again", quality=rng.randint(55, 75))
        elif trap == "resized_copy":
            scale = rng.uniform(0.55, 0.8)
            image = _decoded(picture)
            small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
            picture = encode(small, f"{picture.name}-small", quality=88)
        else:
            picture = replace(picture, name=f"{picture.name}-copy")
        group = f"{trap}{number}"
        copy = replace(original, pictures=(picture,))
        rows["llava_cc3m_595k"][place] = original.planted(trap, _COPY, group)
        rows["infinity_mm" if number % 2 else "llava_mix665k"].append(copy.planted(trap, _COPY, group))


def _other_questions(rows: Rows, rng: random.Random) -> None:
    """The same picture with another question is no duplicate."""
    for original in rng.sample([row for row in rows["llava_mix665k"] if row.pictures and row.plant is None], 8):
        question = rng.choice(("Could this picture be on a postcard?", "Would you print this picture in a magazine?"))
        turns = qa(question, "That is a matter of taste; it is sharp enough to be printed.")
        rows["llava_mix665k"].append(replace(original, turns=turns).planted("same_picture_other_question", KEPT))


def _templates(rows: Rows, rng: random.Random) -> None:
    """Long prompts that differ in one word, with their own answers, on one picture and without any."""
    frame = (
        "You are given a photograph together with one question about it. Look at the whole picture first, then at "
        "the details, think about what is really visible, and only then reply with a single word. Question: is there "
        "a {} in it?"
    )
    host = next(row for row in rows["llava_mix665k"] if row.pictures and row.plant is None)
    things = (("tram", "no"), ("violin", "No, none."), ("windmill", "none"), ("kangaroo", "nowhere"))
    for thing, answer in things:
        draft = replace(host, turns=qa(frame.format(thing), answer))
        rows["llava_mix665k"].append(draft.planted("templated_prompt", KEPT))
    frame = (
        "Please read the following task with care, solve it step by step in your head, do not show any of the steps, and "
        "write down nothing but the final result as a plain number. The task: how many legs do {} spiders have together?"
    )
    for count in rng.sample(range(3, 60), 6):
        draft = Draft(qa(frame.format(count), str(8 * count)))
        rows["infinity_instruct"].append(draft.planted("templated_prompt", KEPT))


_ESSAY = (
    "A bicycle stays upright because its wheels keep turning under the centre of mass. When it begins to fall to the "
    "left, the rider or the geometry of the fork steers to the left, the contact points move below the weight again, and "
    "the machine recovers. At higher speed less steering is needed, at walking pace more, and standing still it is only "
    "a matter of skill. Spinning wheels help a little, but experiments with wheels that cancel each other show that a bicycle "
    "can balance without them. The fork's trail matters more than anything else, and even that can be replaced."
)
_TIDES = (
    "The moon pulls most on the side of the earth that faces it and least on the far side, so the oceans bulge on "
    "both. As the earth turns beneath the bulges, a coast passes two of them in a little less than twenty-five hours, which is "
    "why high water comes twice and later every day. When the sun stands in line with the moon, at new and full moon, "
    "the two pulls add up to spring tides; when they stand at a right angle, neap tides follow. Bays and shelves make the range "
    "larger or smaller, from a hand's breadth in closed seas to sixteen metres in the Bay of Fundy."
)


def _texts(rows: Rows, rng: random.Random) -> None:
    """Copies and damage of texts without pictures."""
    target = rows["infinity_instruct"]
    for number, (question, text) in enumerate(
        (("Why does a bicycle not fall over?", _ESSAY), ("Explain tides.", _TIDES))
    ):
        edited = (
            text.replace("the", "THE", 2)
            .replace("more than anything else", "more than all else")
            .replace("twice", "two times")
        )
        group = f"near_text{number}"
        target += [
            Draft(qa(question, t)).planted("near_text", _SAME_TEXT, group) for t in (text, edited + " That is all.")
        ]
    for number, place in enumerate(rng.sample(range(100), 5)):
        original = target[place]
        shouted = tuple((role, f"  {(text or '').upper()} ") for role, text in original.turns)
        target[place] = original.planted("exact_text", _SAME_TEXT, f"exact_text{number}")
        target.append(replace(original, turns=shouted).planted("exact_text", _SAME_TEXT, f"exact_text{number}"))
    loops = ("the cat sat on the mat and " * 30, "yes " * 120, "I do not know what to say.\n" * 40)
    for loop in loops:
        expect = dropped("text", "repeated_words", "repeated_lines")
        target.append(Draft(qa("Tell me a story.", loop)).planted("repeated_text", expect))
    for text in (
        "The cafÃ© in GenÃ¨ve sells crÃªpes and a very good coffee.",
        "Itâ€™s the clientâ€™s turn to pay, isnâ€™t it?",
    ):
        note = Expect("kept", note="encoding_repaired")
        target.append(Draft(qa("Write one sentence about a visit to a cafe.", text)).planted("mojibake", note))
    foreign = (
        (
            "Почему небо кажется нам голубым в ясный солнечный день?",
            "Воздух рассеивает синий свет сильнее, чем красный, поэтому мы видим голубое небо.",
        ),
        ("Ποια είναι η πρωτεύουσα της Ελλάδας;", "Η πρωτεύουσα της Ελλάδας είναι η Αθήνα, μια πολύ παλιά πόλη."),
        (
            "Сколько дней в неделе и как они называются?",
            "В неделе семь дней: понедельник, вторник, среда и другие дни.",
        ),
    )
    for question, answer in foreign:
        expect = dropped("language", "language_not_allowed")
        target.append(Draft(qa(question, answer)).planted("other_language", expect))


def _flat(rng: random.Random, name: str, shade: int, size: tuple[int, int]) -> Picture:
    return encode(Image.new("RGB", size, (shade, shade, shade)), name, ".png")


def _pictures(rows: Rows, rng: random.Random) -> None:
    """Pictures that are blank, cut, none, empty, mislabelled, too low, too wide."""
    captions = rows["llava_cc3m_595k"]
    blank = dropped("image", "near_uniform")
    for number, shade in enumerate((255, 0, 128, 250, 3, 200)):
        picture = _flat(rng, f"blank{number}", shade, (240 + 40 * number, 260))
        captions.append(
            Draft(qa("Describe the image concisely.", f"an evening at harbour number {number} ."), (picture,)).planted(
                "blank_picture", blank
            )
        )
    whole = captions[3].pictures[0]
    cut = (broken(whole.data[: len(whole.data) // 2], "cut0", ".jpg"), broken(whole.data[:300], "cut1", ".jpg"))
    other = (
        broken(b"<html><body>404 Not Found</body></html>", "page0", ".jpg"),
        broken(b"GIF89a\x01", "page1", ".gif"),
    )
    empty = (broken(b"", "empty0", ".jpg"),)
    for trap, pictures, reason in (
        ("truncated_jpeg", cut, "undecodable_image"),
        ("not_a_picture", other, "undecodable_image"),
        ("zero_bytes", empty, "empty_image"),
    ):
        for picture in pictures:
            captions.append(
                Draft(qa("Describe the image concisely.", "a picture nobody can see ."), (picture,)).planted(
                    trap, lost(reason)
                )
            )
    for number, row in enumerate(rows["llava_onevision"][:4]):
        picture = row.pictures[0]
        wrong = replace(picture, name=f"png-named-jpg{number}", suffix=".jpg")
        expect = Expect("kept", note="suffix_mismatch")
        turns = qa(f"Which kind of figure is number {number}?", "A drawn figure, neither photograph nor painting.")
        rows["llava_mix665k"].append(Draft(turns, (wrong,)).planted("png_named_jpg", expect))
    photo = _decoded(captions[5].pictures[0])
    for number, (size, trap, reason) in enumerate(
        (
            ((157, 19), "too_low", "side_too_small"),
            ((300, 19), "too_low", "side_too_small"),
            ((900, 60), "too_wide", "aspect_too_extreme"),
        )
    ):
        picture = encode(photo.resize(size), f"strip{number}", ".png")
        turns = qa(f"What does strip number {number} show?", "A part of a photograph, squeezed.")
        rows["llava_onevision"].append(Draft(turns, (picture,)).planted(trap, dropped("image", reason)))


def _paths(rows: Rows, rng: random.Random) -> None:
    """Files that are not there, and paths that climb out of the folder."""
    mix = rows["llava_mix665k"]
    hosts = [row for row in mix if row.pictures and row.plant is None]
    for path in ("coco/train2017/000000999999.jpg", "gqa/images/nowhere.jpg"):
        mix.append(replace(rng.choice(hosts), image_path=path).planted("missing_file", lost("missing_image")))
    for path in ("../../secret.jpg", "/etc/hostname"):
        mix.append(replace(rng.choice(hosts), image_path=path).planted("unsafe_path", lost("unsafe_path")))
    ghost = picture_of(hosts[0].pictures[0].data, "ghost", ".jpg")
    row = Draft(qa("", "a caption whose picture is not listed"), (ghost,), joined=False)
    rows["coco_caption"].append(row.planted("caption_without_image", lost("unjoined_annotation")))
    for number in range(3):
        picture = replace(hosts[number].pictures[0], name=f"unasked{number}")
        row = Draft(qa("Was this question ever answered?", "no"), (picture,), joined=False)
        rows["vqav2"].append(row.planted("question_without_annotation", lost("unjoined_annotation")))


def _turns(rows: Rows, rng: random.Random) -> None:
    """Conversations that do not hold together, and native ids used twice."""
    mix, captions = rows["llava_mix665k"], rows["llava_cc3m_595k"]
    photos = [row.pictures for row in mix if row.pictures and row.plant is None]
    for answer in (None, "", "   "):
        row = Draft(qa("What is the weather like in this picture?", answer), photos[0])
        mix.append(row.planted("empty_answer", dropped("structure", "empty_turn")))
    for number in range(2):
        turns: Turns = (
            ("user", f"First thought {number}?"),
            ("user", "Second thought?"),
            ("assistant", "One at a time."),
        )
        mix.append(Draft(turns, photos[1]).planted("two_user_turns", dropped("structure", "roles_not_alternating")))
        row = Draft(
            qa(f"Which of the three pictures is number {number}?", "The second one."), photos[2], placeholders=3
        )
        mix.append(row.planted("placeholder_mismatch", dropped("structure", "placeholder_mismatch")))
    for number in range(4):
        # The layout numbers ids by position; the first rows of the file have these.
        row = Draft(
            qa("Describe the image concisely.", f"quite another caption , number {number} ."),
            captions[number].pictures,
            native_id=f"GCC_train_{number:09d}",
        )
        captions.append(row.planted("duplicate_id", dropped("identity", "duplicate_id")))


def _lines(rows: Rows, rng: random.Random) -> None:
    """Lines that are no JSON, rows of another shape, identical lines, a tar that breaks off."""
    for source in ("docdownstream", "infinity_instruct"):
        for raw in ('{"image": ["./imgs/a.png"], "messages": [{"role": "user", "conte', "not JSON at all"):
            rows[source].append(Draft((), raw=raw).planted("malformed_line", lost("malformed_json")))
        rows[source].append(Draft((), raw="[1, 2, 3]").planted("other_shape", lost("unexpected_row")))
        rows[source].append(Draft((), raw='{"note": "no turns here"}').planted("other_shape", lost("missing_field")))
    twins = rows["docdownstream"][10]
    rows["docdownstream"][10] = twins.planted("identical_lines", _COPY, "identical0")
    rows["docdownstream"] += [twins.planted("identical_lines", _COPY, "identical0")] * 2
    tar = rows["infinity_mm"]
    final = next(row for row in reversed(tar) if row.pictures and row.plant is None)
    tar.append(
        replace(final, turns=qa("Will this sample be read?", "No.")).planted("truncated_tar", lost("malformed_archive"))
    )


def describe(places: dict[str, list[str]], rows: Rows) -> dict[str, object]:
    """Return what traps.json holds: single traps with their place, groups with all their members."""
    singles: list[dict[str, object]] = []
    groups: dict[str, Any] = {}
    for source, drafts in rows.items():
        for place, draft in zip(places[source], drafts, strict=True):
            if draft.plant is None:
                continue
            plant, expect = draft.plant, draft.plant.expect
            wanted = {
                "outcome": expect.outcome,
                "stage": expect.stage,
                "reasons": list(expect.reasons),
                "note": expect.note,
            }
            if plant.group:
                entry = groups.setdefault(
                    plant.group, {"trap": plant.trap, "members": [], "kept": plant.expect_kept, "expect": wanted}
                )
                entry["members"].append([source, place])
            else:
                singles.append({"trap": plant.trap, "source": source, "source_ref": place, "expect": wanted})
    return {"singles": singles, "groups": [groups[name] for name in sorted(groups)]}


def to_json(tree: dict[str, object]) -> str:
    """Return traps.json."""
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"
