"""Tables: seeded cells, questions answered from the cells, drawn with Pillow."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from infinity_mm.demo.chart_data import PLACES
from infinity_mm.demo.draft import Ask, Scene, dice, encode
from infinity_mm.demo.ink import FAINT, INK, PALETTES, PAPERS, Family, Pen


@dataclass(frozen=True)
class TableTheme:
    """What a table may be about."""

    title: str
    #: Heading of the first column, and the names in it.
    key: str
    names: tuple[str, ...]
    #: Heading, smallest and largest whole number of each further column.
    columns: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Table:
    """Names in the first column, whole numbers in the others."""

    title: str
    key: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    #: One tuple per name, one value per column.
    cells: tuple[tuple[int, ...], ...]


_CLUBS = ("Rovers", "United", "Wanderers", "Athletic", "Harriers", "Olympic", "Swifts", "Falcons", "Dynamos", "Comets")
_FOODS = (
    "Oat bread",
    "Lentil soup",
    "Rice salad",
    "Bean stew",
    "Carrot cake",
    "Yoghurt",
    "Muesli",
    "Tomato pie",
    "Pea mash",
)
_STATIONS = ("North ridge", "Old quarry", "Lake shore", "Airfield", "Upper dam", "Mill race", "Pine wood", "South gate")
_PEOPLE = (
    "A. Novak",
    "B. Okafor",
    "C. Lindqvist",
    "D. Moreau",
    "E. Tanaka",
    "F. Haddad",
    "G. Silva",
    "H. Kowalski",
    "I. Byrne",
)
_TOOLS = ("Hammer", "Hand saw", "Pliers", "Spanner", "Chisel", "Drill bit", "Tape rule", "Spirit level", "Clamp")
_ROUTES = ("Harbour", "Castle", "Stadium", "University", "Market", "Hospital", "Theatre", "Zoo")

_THEMES = (
    TableTheme("League table of {}", "Club", _CLUBS, (("Won", 0, 30), ("Drawn", 0, 14), ("Lost", 0, 25), ("Goals", 12, 96))),
    TableTheme("Canteen of {}, per serving", "Dish", _FOODS, (("Energy (kcal)", 90, 620), ("Protein (g)", 2, 38), ("Salt (mg)", 40, 990))),
    TableTheme("Weather stations around {}", "Station", _STATIONS, (("Height (m)", 20, 980), ("Rain (mm)", 4, 120), ("Wind (km/h)", 3, 74))),
    TableTheme("Shifts at the {} clinic", "Name", _PEOPLE, (("Days", 3, 22), ("Nights", 0, 11), ("Hours", 30, 190))),
    TableTheme("Stock of the {} tool shop", "Item", _TOOLS, (("In stock", 2, 240), ("On order", 0, 90), ("Price ($)", 3, 85))),
    TableTheme("Shuttle buses in {}", "Stop", _ROUTES, (("Buses per day", 8, 72), ("Minutes", 4, 48), ("Fare (cents)", 80, 420))),
    TableTheme("Reading contest in {}", "Reader", _PEOPLE, (("Books", 2, 31), ("Pages", 300, 9400), ("Reviews", 0, 20))),
    TableTheme("Test series, {} track", "Driver", _PEOPLE, (("Laps", 10, 66), ("Stops", 0, 9), ("Best lap (s)", 61, 118))),
)  # fmt: skip


def random_table(rng: random.Random) -> Table:
    """Draw a theme, names and cells; the values within one column differ."""
    theme = rng.choice(_THEMES)
    n = rng.randint(4, min(8, len(theme.names)))
    names = tuple(rng.sample(theme.names, n))
    columns = [rng.sample(range(low, high + 1), n) for _, low, high in theme.columns]
    cells = tuple(zip(*columns, strict=True))
    title = theme.title.format(rng.choice(PLACES))
    return Table(title, theme.key, names, tuple(name for name, _, _ in theme.columns), cells)


def table_asks(table: Table, rng: random.Random) -> tuple[Ask, ...]:
    """Return lookups, extremes, sums and counts over the cells."""
    asks = [*_cells(table, rng), *_columns(table, rng), _count(table, rng)]
    asks.append(
        Ask(rng.choice(("What is the table about?", "Which title stands above the table?")), table.title,
            f'Above the table stands "{table.title}".')
    )  # fmt: skip
    rng.shuffle(asks)
    return tuple(asks)


def _cells(table: Table, rng: random.Random) -> list[Ask]:
    asks = []
    for row in rng.sample(range(len(table.names)), 3):
        column = rng.randrange(len(table.columns))
        name, head, value = table.names[row], table.columns[column], table.cells[row][column]
        question = rng.choice(
            (
                f'What is the entry for {name} under "{head}"?',
                f'In the row of {name}, which number is in the column "{head}"?',
                f'Look up "{head}" for {name}.',
            )
        )
        asks.append(Ask(question, str(value), f'In the row of {name} the column "{head}" holds {value}.'))
    return asks


def _columns(table: Table, rng: random.Random) -> list[Ask]:
    first, second = rng.sample(range(len(table.columns)), 2)
    head, other = table.columns[first], table.columns[second]
    values = [row[first] for row in table.cells]
    others = [row[second] for row in table.cells]
    best, worst = table.names[values.index(max(values))], table.names[values.index(min(values))]
    one = table.key.lower()
    return [
        Ask(f'Which {one} has the highest figure under "{head}"?', best, f"{best}, with {max(values)}."),
        Ask(
            f'Which {one} has the smallest number in the column "{head}"?', worst, f"{worst}, with only {min(values)}."
        ),
        Ask(
            f'What is the sum of the column "{other}"?',
            str(sum(others)),
            f"{' + '.join(map(str, others))} = {sum(others)}.",
        ),
    ]


def _count(table: Table, rng: random.Random) -> Ask:
    n = len(table.names)
    question = rng.choice(
        ("How many rows does the table have below its header?", "Without the header, how many rows are there?")
    )
    return Ask(question, str(n), f"There are {n} rows below the header.")


def draw_table(table: Table, rng: random.Random) -> Image.Image:
    """Draw in RGB, numbers flush right, every second row tinted or every row ruled."""
    size, pad = rng.randint(14, 18), rng.randint(8, 14)
    line = size + 2 * pad
    family: Family = rng.choice(("sans", "serif"))
    probe = Pen(ImageDraw.Draw(Image.new("RGB", (8, 8))), family)
    texts = [(table.key, *table.names)] + [
        (head, *(str(row[i]) for row in table.cells)) for i, head in enumerate(table.columns)
    ]
    widths = [max(probe.width(text, size, bold=True) for text in column) + 2 * pad + 8 for column in texts]
    margin = rng.randint(16, 40)
    width = int(max(sum(widths), probe.width(table.title, size + 3, bold=True))) + 2 * margin
    height = line * (len(table.names) + 1) + 2 * margin + 34
    paper = rng.choice(PAPERS)
    image = Image.new("RGB", (width, height), paper)
    pen = Pen(ImageDraw.Draw(image), family)
    pen.text((margin, margin - 4), table.title, size + 3, "la", bold=True)
    top = margin + 30
    head_fill = rng.choice(rng.choice(PALETTES))
    striped = rng.random() < 0.5
    pen.draw.rectangle([margin, top, margin + sum(widths), top + line], fill=head_fill)
    for r in range(len(table.names) + 1):
        y = top + line * r
        if r and striped and r % 2 == 0:
            pen.draw.rectangle([margin, y, margin + sum(widths), y + line], fill=tuple(c - 14 for c in paper))
        if r and not striped:
            pen.draw.line([(margin, y + line), (margin + sum(widths), y + line)], fill=FAINT)
        _row(
            pen if r else Pen(pen.draw, family, _contrast(head_fill)),
            [c[r] for c in texts],
            widths,
            (margin, y + line / 2),
            size,
            r == 0,
        )
    return image


def _row(pen: Pen, texts: list[str], widths: list[float], at: tuple[float, float], size: int, bold: bool) -> None:
    """Write one row, vertically centred at `at`; the first column flush left, the others flush right."""
    x, middle = at
    for i, (text, width) in enumerate(zip(texts, widths, strict=True)):
        place, anchor = ((x + 10, middle), "lm") if i == 0 else ((x + width - 10, middle), "rm")
        pen.text(place, text, size, anchor, bold=bold)
        x += width


def _contrast(fill: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, whichever reads better on `fill`."""
    luma = 0.299 * fill[0] + 0.587 * fill[1] + 0.114 * fill[2]
    return INK if luma > 140 else (255, 255, 255)


def table_scene(seed: int, key: str, suffix: str = ".png") -> Scene:
    """Return a seeded table as a scene."""
    rng = dice(seed, "table", key)
    table = random_table(rng)
    picture = encode(draw_table(table, rng), f"table_{key}", suffix, quality=90)
    captions = (
        f"a table titled {table.title} with {len(table.names)} rows and {len(table.columns) + 1} columns",
        f"{table.title}, listed by {table.key.lower()}",
    )
    return Scene("table", picture, captions, table_asks(table, rng), "WikiTableQuestions")
