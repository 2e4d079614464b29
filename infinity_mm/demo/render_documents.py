"""Draws one-page documents with Pillow, in greys as a scanner gives them or in colour."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from infinity_mm.demo.document_data import MAKERS, Document, DocumentKind, document_asks
from infinity_mm.demo.draft import Scene, dice, encode
from infinity_mm.demo.ink import FAINT, INK, PALETTES, PAPERS, Family, Pen


def document_scene(seed: int, key: str, kind: DocumentKind | None = None, suffix: str = ".png") -> Scene:
    """Return a seeded document as a scene; the kind is drawn where it is None."""
    rng = dice(seed, "document", key)
    drawn: DocumentKind = rng.choice(("letter", "invoice", "receipt", "form", "notice"))
    document = MAKERS[kind or drawn](rng)
    image = draw_document(document, rng)
    picture = encode(image, f"{document.kind}_{key}", suffix, quality=88)
    captions = (
        f"a {document.kind} on one page, headed {document.heading}",
        f"scanned page: {document.kind} with the heading {document.heading}",
    )
    return Scene("document", picture, captions, document_asks(document, rng), "DocVQA")


def draw_document(document: Document, rng: random.Random) -> Image.Image:
    """Draw the page; height follows the content, between about 420 and 880 pixels."""
    receipt = document.kind == "receipt"
    width = rng.randint(300, 380) if receipt else rng.randint(560, 680)
    family: Family = "mono" if receipt else rng.choice(("sans", "serif"))
    size = rng.randint(14, 16)
    paper = rng.choice(PAPERS)
    image = Image.new("RGB", (width, 1400), paper)
    pen = Pen(ImageDraw.Draw(image), family)
    margin = 22 if receipt else rng.randint(36, 64)
    accent = rng.choice(rng.choice(PALETTES))
    y = _head(pen, document, (margin, width - margin), size, accent, rng.random() < 0.5)
    for paragraph in document.body:
        for line in pen.wrapped(paragraph, size, width - 2 * margin):
            pen.text((margin, y), line, size)
            y += size + 7
        y += 12
    y = _rows(pen, document, (margin, width - margin), y, size)
    right = document.kind in ("invoice", "receipt")
    for i, line in enumerate(document.foot):
        pen.text(
            (width - margin if right else margin, y + 8), line, size + 1, "ra" if right else "la", bold=right and i == 0
        )
        y += size + 12
    page = image.crop((0, 0, width, max(420, y + margin)))
    return page.convert("L") if rng.random() < 0.4 else page


def _head(
    pen: Pen, document: Document, span: tuple[int, int], size: int, accent: tuple[int, int, int], ruled: bool
) -> int:
    """Write heading and head lines; return the y below them."""
    left, right = span
    coloured = Pen(pen.draw, pen.family, accent if ruled else INK)
    title = pen.fitting(document.heading, 28, right - left, bold=True)
    if document.kind in ("receipt", "notice"):
        coloured.text(((left + right) / 2, 26), document.heading, title, "ma", bold=True)
    else:
        coloured.text((left, 26), document.heading, title, "la", bold=True)
    y = 26 + title + 14
    if ruled:
        pen.draw.line([(left, y), (right, y)], fill=accent, width=2)
        y += 10
    for line in document.head:
        if document.kind == "letter":
            pen.text((right, y), line, size, "ra")
        else:
            pen.text((left, y), line, size)
        y += size + 7
    return y + 16


def _rows(pen: Pen, document: Document, span: tuple[int, int], y: int, size: int) -> int:
    """Write the list; the first column flush left, the others flush right; forms get ruled boxes."""
    left, right = span
    for i, row in enumerate(document.rows):
        if document.kind == "form":
            pen.text((left, y), row[0], size - 3)
            pen.draw.rectangle([left, y + size, right, y + size * 3], outline=FAINT)
            pen.text((left + 8, y + size * 2), row[1], size, "lm")
            y += size * 4 - 4
            continue
        header = document.kind == "invoice" and i == 0
        columns = len(row)
        pen.text((left, y), row[0], size, bold=header)
        for c, cell in enumerate(row[1:], 1):
            x = right - (columns - 1 - c) * (right - left) * 0.22
            pen.text((x, y), cell, size, "ra", bold=header)
        y += size + 9
        if header or i == len(document.rows) - 1:
            pen.draw.line([(left, y - 3), (right, y - 3)], fill=INK)
            y += 5
    return y
