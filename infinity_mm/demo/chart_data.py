"""Charts as data: seeded numbers, and questions answered from the numbers, never from the drawing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from infinity_mm.demo.draft import Ask

Kind = Literal["bar", "barh", "line", "pie"]


@dataclass(frozen=True)
class Theme:
    """What a chart may be about."""

    #: Completed by a place or a name: "Visitors of {}".
    titles: tuple[str, ...]
    #: Noun phrase for the value: "number of visitors".
    measure: str
    unit: str
    #: Noun for one category, and its plural.
    category: tuple[str, str]
    categories: tuple[str, ...]
    kinds: tuple[Kind, ...]
    #: Smallest and largest value.
    span: tuple[int, int]
    ordered: bool = False


@dataclass(frozen=True)
class Chart:
    """One series of whole numbers over named categories."""

    kind: Kind
    title: str
    theme: Theme
    categories: tuple[str, ...]
    values: tuple[int, ...]
    #: Distance of the grid lines in units of the values.
    step: int
    #: Whether the numbers are written into the chart.
    labelled: bool


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_YEARS = tuple(str(year) for year in range(2011, 2025))
_ANY: tuple[Kind, ...] = ("bar", "barh", "line")

PLACES = (
    "Brookfield", "Elmhurst", "Northport", "Riverton", "Ashdown", "Kingsbridge", "Marlow Bay", "Thornbury", "Westhaven",
    "Oakridge", "Fairview", "Stonegate", "Millbrook", "Harborne", "Clearwater", "Linden Hill", "Eastgate", "Foxdale",
    "Silverton", "Greenford", "Hillcrest", "Maplewood", "Dunmore", "Port Ellis",
)  # fmt: skip

THEMES = (
    Theme(("Rainfall in {}", "Monthly rainfall, {}"), "rainfall", "mm", ("month", "months"), _MONTHS, _ANY, (10, 160), True),
    Theme(("Visitors of the {} Museum", "Museum visitors in {}"), "number of visitors", "visitors", ("month", "months"),
          _MONTHS, _ANY, (200, 1900), True),
    Theme(("Loans of the {} library", "Books lent in {}"), "number of loans", "loans", ("weekday", "weekdays"), _DAYS,
          ("bar", "line"), (40, 480), True),
    Theme(("Bicycles counted at {} bridge", "Bicycle traffic, {}"), "bicycle count", "bicycles", ("weekday", "weekdays"),
          _DAYS, _ANY, (100, 950), True),
    Theme(("Solar output of the {} plant", "Solar energy from {}"), "solar output", "MWh", ("month", "months"), _MONTHS,
          ("bar", "line"), (5, 95), True),
    Theme(("Patents filed by {} Labs", "Patent filings, {} Works"), "number of patents", "patents", ("year", "years"),
          _YEARS, _ANY, (4, 88), True),
    Theme(("Fruit sold at {} market", "Fruit sales, {} farm shop"), "amount sold", "kg", ("fruit", "fruits"),
          ("Apples", "Pears", "Plums", "Cherries", "Grapes", "Melons", "Figs", "Quinces"), ("bar", "barh", "pie"), (10, 90)),
    Theme(("Pets registered in {}", "Pet licences, {} council"), "number of animals", "animals", ("animal", "animals"),
          ("Dogs", "Cats", "Rabbits", "Parrots", "Turtles", "Hamsters", "Ferrets"), ("bar", "barh", "pie"), (5, 95)),
    Theme(("How pupils of {} school travel", "Way to school in {}"), "number of pupils", "pupils",
          ("means of transport", "means of transport"), ("Bus", "Bicycle", "Car", "Train", "Tram", "On foot"),
          ("pie", "bar", "barh"), (8, 90)),
    Theme(("Budget of {} for one year", "Spending by department, {}"), "spending", "thousand dollars",
          ("department", "departments"), ("Roads", "Schools", "Parks", "Police", "Culture", "Health", "Water"),
          ("pie", "bar", "barh"), (15, 95)),
    Theme(("Medals won by {} athletes", "Medal table of {} clubs"), "medal count", "medals", ("sport", "sports"),
          ("Rowing", "Judo", "Fencing", "Sailing", "Archery", "Boxing", "Diving"), ("bar", "barh", "pie"), (2, 38)),
    Theme(("Trees planted in {}", "New trees, {} parks"), "number of trees", "trees", ("species", "species"),
          ("Oak", "Maple", "Birch", "Linden", "Ash", "Willow", "Alder", "Elm"), ("bar", "barh", "pie"), (12, 98)),
    Theme(("Average bus delay in {}", "Delays on {} bus lines"), "delay", "seconds", ("line", "lines"),
          ("Line A", "Line B", "Line C", "Line D", "Line E", "Line F"), ("bar", "barh"), (20, 290)),
    Theme(("Support tickets at {} Software", "Tickets closed, {} help desk"), "number of tickets", "tickets",
          ("team", "teams"), ("Billing", "Network", "Mobile", "Search", "Accounts", "Storage"), ("bar", "barh", "pie"),
          (10, 240)),
    Theme(("Height of the river at {}", "River level, {} gauge"), "water level", "cm", ("year", "years"), _YEARS,
          ("line", "bar"), (80, 390), True),
    Theme(("Coffee drunk at {} office", "Cups of coffee, {} branch"), "number of cups", "cups", ("weekday", "weekdays"),
          _DAYS, ("bar", "line", "pie"), (12, 96), True),
)  # fmt: skip

_STEPS = (2, 5, 10, 20, 50, 100, 200, 500)


def random_chart(rng: random.Random) -> Chart:
    """Draw theme, place, categories and values; all values differ, so that every question has one answer."""
    theme = rng.choice(THEMES)
    kind = rng.choice(theme.kinds)
    most = min(len(theme.categories), 6 if kind == "pie" else 9)
    n = rng.randint(4, most)
    if theme.ordered:
        first = rng.randint(0, len(theme.categories) - n)
        categories = theme.categories[first : first + n]
    else:
        categories = tuple(rng.sample(theme.categories, n))
    low, high = theme.span
    step = next(s for s in _STEPS if high / s <= 10)
    labelled = kind == "pie" or rng.random() < 0.55
    # Without written numbers a value must be readable off the grid.
    grain = 1 if labelled else max(1, step // 2)
    values = tuple(v * grain for v in rng.sample(range(-(-low // grain), high // grain + 1), n))
    title = rng.choice(theme.titles).format(rng.choice(PLACES))
    if theme.categories is not _YEARS and rng.random() < 0.6:
        title += f", {rng.randint(2012, 2024)}"
    return Chart(kind, title, theme, categories, values, step, labelled)


def chart_asks(chart: Chart, rng: random.Random) -> tuple[Ask, ...]:
    """Return questions of all types about the chart, in a seeded phrasing and order."""
    asks = [*_lookups(chart, rng), *_extremes(chart, rng), *_sums(chart, rng), *_about(chart, rng)]
    rng.shuffle(asks)
    return tuple(asks)


def _lookups(chart: Chart, rng: random.Random) -> list[Ask]:
    theme = chart.theme
    picked = rng.sample(range(len(chart.values)), 3)
    asks = []
    for i in picked:
        name, value = chart.categories[i], chart.values[i]
        question = rng.choice(
            (
                f"What is the {theme.measure} for {name}?",
                f"Read off the {theme.measure} of {name}.",
                f"Which value does the chart give for {name}?",
                f"State the {theme.measure} for {name} in {theme.unit}.",
            )
        )
        asks.append(Ask(question, str(value), f"For {name} the chart shows {value} {theme.unit}."))
    return asks


def _extremes(chart: Chart, rng: random.Random) -> list[Ask]:
    theme, one = chart.theme, chart.theme.category[0]
    top, low = max(chart.values), min(chart.values)
    best, worst = chart.categories[chart.values.index(top)], chart.categories[chart.values.index(low)]
    most = rng.choice(
        (
            f"Which {one} has the highest {theme.measure}?",
            f"For which {one} is the {theme.measure} largest?",
            f"Name the {one} at the top of this chart by value.",
        )
    )
    least = rng.choice(
        (
            f"Which {one} has the lowest {theme.measure}?",
            f"For which {one} is the {theme.measure} smallest?",
            f"Name the {one} with the least {theme.unit}.",
        )
    )
    return [
        Ask(most, best, f"{best} has the highest value, {top} {theme.unit}."),
        Ask(least, worst, f"{worst} comes last with {low} {theme.unit}."),
    ]


def _sums(chart: Chart, rng: random.Random) -> list[Ask]:
    theme = chart.theme
    i, j = rng.sample(range(len(chart.values)), 2)
    if chart.values[i] < chart.values[j]:
        i, j = j, i
    gap, total = chart.values[i] - chart.values[j], sum(chart.values)
    a, b = chart.categories[i], chart.categories[j]
    limit = rng.choice(sorted(chart.values)[1:-1])
    above = sum(value > limit for value in chart.values)
    many = chart.theme.category[1]
    return [
        Ask(
            rng.choice((f"How much larger is {a} than {b}?", f"What is the difference between {a} and {b}?")),
            str(gap),
            f"{a} stands at {chart.values[i]} and {b} at {chart.values[j]}, so the difference is {gap} {theme.unit}.",
        ),
        Ask(
            rng.choice((f"What do all {many} add up to?", f"What is the total over all {many} shown?")),
            str(total),
            f"Adding {' + '.join(map(str, chart.values))} gives {total} {theme.unit}.",
        ),
        Ask(
            rng.choice((f"How many {many} lie above {limit}?", f"How many {many} exceed {limit} {theme.unit}?")),
            str(above),
            f"Counting the {many} above {limit} {theme.unit} gives {above} out of {len(chart.values)}.",
        ),
    ]


def _about(chart: Chart, rng: random.Random) -> list[Ask]:
    many = chart.theme.category[1]
    i, j = rng.sample(range(len(chart.values)), 2)
    a, b = chart.categories[i], chart.categories[j]
    answer = "yes" if chart.values[i] > chart.values[j] else "no"
    names = {
        "bar": "a bar chart",
        "barh": "a bar chart with horizontal bars",
        "line": "a line chart",
        "pie": "a pie chart",
    }
    return [
        Ask(
            rng.choice(
                ("What is the title of the chart?", "Which heading does the chart carry?", "How is this chart titled?")
            ),
            chart.title,
            f'The title reads "{chart.title}".',
        ),
        Ask(
            rng.choice((f"How many {many} are shown?", f"Count the {many} in the chart.")),
            str(len(chart.values)),
            f"The chart shows {len(chart.values)} {many}.",
        ),
        Ask(
            rng.choice((f"Is the value of {a} greater than that of {b}?", f"Does {a} exceed {b}?")),
            answer,
            f"{answer.capitalize()}, {a} has {chart.values[i]} and {b} has {chart.values[j]} {chart.theme.unit}.",
        ),
        Ask(
            rng.choice(("What kind of chart is this?", "Which type of chart was used here?")),
            names[chart.kind],
            f"It is {names[chart.kind]}.",
        ),
    ]


def chart_captions(chart: Chart) -> tuple[str, ...]:
    """Return true captions of a chart."""
    many = chart.theme.category[1]
    best = chart.categories[chart.values.index(max(chart.values))]
    noun = {"bar": "bar chart", "barh": "horizontal bar chart", "line": "line chart", "pie": "pie chart"}[chart.kind]
    return (
        f"a {noun} titled {chart.title} with {len(chart.values)} {many}",
        f"{chart.title}: {noun} in which {best} comes first",
    )
