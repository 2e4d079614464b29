"""Text-only exchanges with true content: arithmetic, units, sorting, words, code, in a few languages."""

from __future__ import annotations

import random
from collections.abc import Callable

from infinity_mm.demo.draft import Draft, Turns, dice, qa

_WORDS = {
    "isthmus": "a narrow strip of land that joins two larger areas and has water on both sides",
    "estuary": "the wide mouth of a river where fresh water meets the tide of the sea",
    "palindrome": "a word or sentence that reads the same forwards and backwards, such as level",
    "catalyst": "a substance that speeds up a chemical reaction without being used up by it",
    "hypotenuse": "the longest side of a right-angled triangle, opposite the right angle",
    "sonnet": "a poem of fourteen lines with a fixed pattern of rhymes",
    "median": "the middle value of a sorted list, or the mean of the two middle values",
    "glacier": "a large body of ice that moves slowly down a slope under its own weight",
    "lichen": "a partnership of a fungus and an alga that grows on stone or bark",
    "equinox": "one of the two days of the year on which day and night are equally long",
    "archipelago": "a group of islands that lie close together in the same sea",
    "photosynthesis": "the process by which plants turn light, water and carbon dioxide into sugar and oxygen",
    "metaphor": "a figure of speech that describes one thing as if it were another",
    "viscosity": "a measure of how strongly a fluid resists flowing",
    "tributary": "a river or stream that flows into a larger river",
    "democracy": "a form of government in which the people choose those who rule",
}
_ASK_WORD = (
    "What does the word {} mean?",
    "Please define {} in one sentence.",
    "I came across the term {} today. Can you explain it?",
    "Explain {} to a ten-year-old.",
)
_UNITS = (
    ("kilometres", "metres", 1000),
    ("hours", "minutes", 60),
    ("kilograms", "grams", 1000),
    ("days", "hours", 24),
    ("weeks", "days", 7),
    ("litres", "millilitres", 1000),
    ("minutes", "seconds", 60),
    ("metres", "centimetres", 100),
)
_GOODS = ("apples", "pencils", "books", "tickets", "lamps", "cups", "chairs", "stamps", "maps", "candles", "boxes")
_NAMES = ("Ada", "Bruno", "Chen", "Dalia", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jun", "Kofi", "Lena")
_ANIMALS = ("otter", "heron", "badger", "lynx", "magpie", "newt", "stork", "weasel", "toad", "hare", "ibis", "mole")


def _product(rng: random.Random) -> Turns:
    a, b = rng.randint(12, 98), rng.randint(3, 29)
    tens, ones = b // 10 * 10, b % 10
    steps = f"{a} times {tens} is {a * tens} and {a} times {ones} is {a * ones}. " if tens and ones else ""
    ask = rng.choice(("What is {} times {}?", "Multiply {} by {} and show your work.", "Work out {} x {}."))
    return qa(ask.format(a, b), f"{steps}So {a} times {b} is {a * b}.")


def _shopping(rng: random.Random) -> Turns:
    name, goods = rng.choice(_NAMES), rng.choice(_GOODS)
    count, price, paid = rng.randint(2, 19), rng.randint(2, 9), 200
    total = count * price
    question = rng.choice(
        (
            f"{name} buys {count} {goods} at {price} euros each and pays with {paid} euros. How much change is due?",
            f"One of the {goods} costs {price} euros. What is left of {name}'s {paid} euros after buying {count}?",
        )
    )
    return qa(question, f"{count} {goods} cost {count} x {price} = {total} euros, so {paid - total} euros are left.")


def _conversion(rng: random.Random) -> Turns:
    big, small, factor = rng.choice(_UNITS)
    value = rng.randint(2, 480)
    ask = rng.choice(("How many {1} are {2} {0}?", "Convert {2} {0} to {1}.", "Express {2} {0} in {1}, please."))
    return qa(ask.format(big, small, value), f"{value} {big} are {value * factor:,} {small}.")


def _sorting(rng: random.Random) -> Turns:
    numbers = rng.sample(range(1, 400), rng.randint(5, 9))
    listed = ", ".join(map(str, numbers))
    if rng.random() < 0.5:
        return qa(f"Sort these numbers from small to large: {listed}.", ", ".join(map(str, sorted(numbers))) + ".")
    return qa(f"Which is the largest of {listed}?", f"The largest is {max(numbers)}; the smallest is {min(numbers)}.")


def _alphabet(rng: random.Random) -> Turns:
    animals = rng.sample(_ANIMALS, rng.randint(4, 7))
    return qa(f"Put these animals in alphabetical order: {', '.join(animals)}.", ", ".join(sorted(animals)) + ".")


def _definition(rng: random.Random) -> Turns:
    word = rng.choice(sorted(_WORDS))
    meaning = _WORDS[word]
    answer = rng.choice(
        (f"It is {meaning}.", f"{word.capitalize()} means {meaning}.", f"The word stands for {meaning}.")
    )
    return qa(rng.choice(_ASK_WORD).format(word), answer)


def _code(rng: random.Random) -> Turns:
    a, b = rng.randint(2, 40), rng.randint(2, 12)
    sign, value = rng.choice((("+", a + b), ("*", a * b), ("-", a - b), ("//", a // b), ("%", a % b)))
    name = rng.choice(("total", "result", "x", "left", "score"))
    text = f"{name} = {a} {sign} {b}\nprint({name})"
    ask = rng.choice(("What does this Python program print?", "Trace this code and tell me its output."))
    return qa(f"{ask}\n```python\n{text}\n```", f"It assigns {a} {sign} {b} to {name}, so it prints {value}.")


def _reverse(rng: random.Random) -> Turns:
    word = rng.choice(sorted(_WORDS) + list(_ANIMALS) + list(_GOODS))
    if rng.random() < 0.5:
        return qa(f"Spell {word} backwards.", f"{word} backwards is {word[::-1]}.")
    return qa(f"How many letters has the word {word}?", f"The word {word} has {len(word)} letters.")


def _chinese(rng: random.Random) -> Turns:
    a, b = rng.randint(11, 99), rng.randint(11, 99)
    goods = rng.choice(("苹果", "铅笔", "书", "椅子", "邮票", "杯子"))
    return rng.choice(
        (
            qa(
                f"小明有{a}个{goods}，小红有{b}个{goods}，他们一共有多少个？",
                f"{a}加{b}等于{a + b}，所以他们一共有{a + b}个{goods}。",
            ),
            qa(f"请计算{a}乘以{b}，并说明步骤。", f"先把两个数相乘，{a}乘以{b}等于{a * b}，所以答案是{a * b}。"),
            qa(f"{a}和{b}哪个数字更大？大多少？", f"比较两个数字，较大的是{max(a, b)}，两者相差{abs(a - b)}。"),
        )
    )


_KINDS: tuple[Callable[[random.Random], Turns], ...] = (
    _product,
    _shopping,
    _conversion,
    _sorting,
    _alphabet,
    _definition,
    _code,
    _reverse,
    _chinese,
)


def text_drafts(seed: int, count: int, purpose: str) -> list[Draft]:
    """Return `count` different text-only rows, kinds in turn."""
    drafts: list[Draft] = []
    seen: set[Turns] = set()
    attempt = 0
    while len(drafts) < count:
        rng = dice(seed, f"text.{purpose}", attempt)
        turns = _KINDS[attempt % len(_KINDS)](rng)
        attempt += 1
        if turns not in seen:
            seen.add(turns)
            drafts.append(Draft(turns))
    return drafts
