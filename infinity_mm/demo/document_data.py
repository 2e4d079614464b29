"""Documents as data: letters, invoices, receipts, forms and notices with fields that questions ask for."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from infinity_mm.demo.chart_data import PLACES
from infinity_mm.demo.draft import Ask

DocumentKind = Literal["letter", "invoice", "receipt", "form", "notice"]

#: What a question asks, in several phrasings, and how the answer reads as a sentence.
Field = tuple[tuple[str, ...], str, str]

FIRST = (
    "Amelia", "Bashir", "Carla", "Dmitri", "Esther", "Felix", "Greta", "Hassan", "Ingrid", "Jonas", "Keiko", "Liam",
    "Miriam", "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Samuel", "Tomoko", "Ursula", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
LAST = (
    "Abbott", "Bergstrom", "Castillo", "Dhillon", "Eriksen", "Fontaine", "Gallagher", "Hoffmann", "Ibrahim", "Jansen",
    "Kimura", "Larsson", "Mbeki", "Novotny", "Ortega", "Petrov", "Quinn", "Rossi", "Santos", "Turner", "Ueda", "Weber",
)  # fmt: skip
_FIRMS = (
    "Tools",
    "Paper Works",
    "Gardens",
    "Logistics",
    "Bakery",
    "Instruments",
    "Press",
    "Textiles",
    "Optics",
    "Timber",
)
_GOODS = (
    ("Copper pipe, 2 m", 9, 24), ("Wall paint, 5 l", 18, 46), ("LED lamp", 4, 19), ("Steel shelf", 39, 95),
    ("Garden hose", 14, 38), ("Oak board", 22, 64), ("Door handle", 11, 33), ("Cable drum", 25, 70),
    ("Work gloves", 5, 16), ("Box of screws", 3, 12), ("Filter set", 8, 29), ("Ladder, 3 m", 55, 140),
)  # fmt: skip
_SNACKS = (
    ("Apple juice", 180, 390), ("Cheese roll", 240, 460), ("Green tea", 160, 330), ("Noodle soup", 520, 980),
    ("Plum cake", 230, 480), ("Mineral water", 110, 260), ("Mixed salad", 390, 860), ("Pretzel", 90, 210),
    ("Lentil curry", 640, 1180), ("Lemon tart", 290, 560),
)  # fmt: skip
_REASONS = (
    "the repair of the lift in the east wing", "the delivery of the new reading lamps", "your application for a stall",
    "the inspection of the fire doors", "the loan of the survey instruments", "the order of school furniture",
    "the renewal of the parking permit", "the water damage in the cellar", "the guided tour for your class",
)  # fmt: skip
_EVENTS = (
    "Flea market", "Choir concert", "Chess tournament", "Repair workshop", "Lantern walk", "Book sale", "Science night",
    "Open garden day", "Blood drive", "Film evening",
)  # fmt: skip
_ROOMS = ("town hall", "school gym", "old fire station", "parish hall", "community centre", "library", "boat house")
_COURSES = ("Pottery", "First aid", "Spanish for beginners", "Watercolour", "Bookkeeping", "Beekeeping", "Wood carving")


@dataclass(frozen=True)
class Document:
    """What one page says, top to bottom, and the fields that can be asked for."""

    kind: DocumentKind
    #: Printed large at the top.
    heading: str
    #: Lines under the heading, e.g. address and date.
    head: tuple[str, ...]
    #: Paragraphs of running text.
    body: tuple[str, ...]
    #: Columns of a list: every row has the same number of cells; () for none.
    rows: tuple[tuple[str, ...], ...]
    #: Lines after the list or text, e.g. total or signature.
    foot: tuple[str, ...]
    fields: tuple[Field, ...]


def _person(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def _day(rng: random.Random) -> date:
    return date(2012, 1, 1) + timedelta(days=rng.randrange(4600))


def _written(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _money(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"


def letter(rng: random.Random) -> Document:
    """A business letter with sender, recipient, date, subject and a deadline."""
    sender, recipient, reference = _person(rng), _person(rng), f"{rng.choice('ABKRT')}-{rng.randint(1000, 9999)}"
    place, reason = rng.choice(PLACES), rng.choice(_REASONS)
    day = _day(rng)
    deadline, amount = day + timedelta(days=rng.randint(10, 45)), rng.randint(40, 990) * 100
    firm = f"{rng.choice(LAST)} {rng.choice(_FIRMS)}"
    body = (
        f"Dear {recipient},",
        f"thank you for your message about {reason}. We have looked into the matter and can now give you an answer.",
        f"The cost will be {_money(amount)}. Please let us know by {_written(deadline)} whether you agree; after that "
        f"day we can no longer hold the offer.",
        f"You can reach our office in {place} on weekdays. Please quote the reference {reference} when you call.",
    )
    fields: tuple[Field, ...] = (
        (("Who signed this letter?", "Who wrote the letter?"), sender, f"The letter is signed by {sender}."),
        (("To whom is the letter addressed?", "Who receives this letter?"), recipient, f"It is addressed to {recipient}."),
        (("What is the date of the letter?", "When was this letter written?"), _written(day),
         f"The letter is dated {_written(day)}."),
        (("By which date is an answer expected?", "What is the deadline named in the letter?"), _written(deadline),
         f"An answer is expected by {_written(deadline)}."),
        (("Which reference should be quoted?", "What is the reference of this letter?"), reference,
         f"The reference to quote is {reference}."),
        (("How much will it cost?", "Which sum of money does the letter name?"), _money(amount),
         f"The cost named in the letter is {_money(amount)}."),
        (("Which company sent the letter?", "What is printed as letterhead?"), firm, f"The letterhead reads {firm}."),
    )  # fmt: skip
    return Document("letter", firm, (place, _written(day)), body, (), ("Yours sincerely,", sender), fields)


def invoice(rng: random.Random) -> Document:
    """An invoice whose lines add up."""
    firm, customer, number = (
        f"{rng.choice(LAST)} {rng.choice(_FIRMS)}",
        _person(rng),
        f"INV-{rng.randint(10000, 99999)}",
    )
    day = _day(rng)
    due = day + timedelta(days=rng.choice((14, 21, 30)))
    goods = rng.sample(_GOODS, rng.randint(2, 5))
    lines = [(name, rng.randint(1, 12), rng.randint(low, high) * 100) for name, low, high in goods]
    total = sum(count * price for _, count, price in lines)
    rows = (
        ("Item", "Quantity", "Price", "Amount"),
        *((name, str(count), _money(price), _money(count * price)) for name, count, price in lines),
    )
    name, count, price = rng.choice(lines)
    fields: tuple[Field, ...] = (
        (("What is the total of the invoice?", "How much has to be paid?"), _money(total), f"The total is {_money(total)}."),
        (("What is the invoice number?", "Which number does this invoice have?"), number, f"The number is {number}."),
        (("When is the payment due?", "By when must the invoice be paid?"), _written(due), f"Payment is due on {_written(due)}."),
        (("Who is billed?", "Who is the customer?"), customer, f"The customer is {customer}."),
        ((f"How many units of {name} were ordered?", f"What quantity is listed for {name}?"), str(count),
         f"The line for {name} lists a quantity of {count}."),
        ((f"What does one unit of {name} cost?", f"What is the unit price of {name}?"), _money(price),
         f"One unit of {name} costs {_money(price)}."),
        (("Which company issued the invoice?", "Who sends this bill?"), firm, f"It was issued by {firm}."),
        (("How many different items are on the invoice?", "Count the lines of the invoice."), str(len(lines)),
         f"The invoice lists {len(lines)} items."),
    )  # fmt: skip
    head = (f"Invoice {number}", f"Date: {_written(day)}", f"Customer: {customer}")
    return Document("invoice", firm, head, (), rows, (f"Total: {_money(total)}", f"Due: {_written(due)}"), fields)


def receipt(rng: random.Random) -> Document:
    """A till receipt with cash and change."""
    shop = f"Cafe {rng.choice(LAST)}"
    goods = rng.sample(_SNACKS, rng.randint(2, 6))
    lines = [(name, rng.randrange(low, high, 5)) for name, low, high in goods]
    total = sum(price for _, price in lines)
    paid = -(-total // 1000) * 1000
    day, hour, minute = _day(rng), rng.randint(8, 20), rng.randint(0, 59)
    name, price = rng.choice(lines)
    dearest = max(lines, key=lambda line: line[1])
    fields: list[Field] = [
        (("What is the total on this receipt?", "How much was paid for everything?"), _money(total),
         f"The total is {_money(total)}."),
        (("How much change was given?", "What is the change?"), _money(paid - total), f"The change was {_money(paid - total)}."),
        ((f"How much did the {name.lower()} cost?", f"Which price is printed for {name}?"), _money(price),
         f"The receipt shows {_money(price)} for {name}."),
        (("At what time was the receipt printed?", "Which time does the receipt show?"), f"{hour:02d}:{minute:02d}",
         f"It was printed at {hour:02d}:{minute:02d}."),
        (("What is the name of the shop?", "Where was this bought?"), shop, f"The shop is called {shop}."),
        (("What is the date on the receipt?", "On which day was this paid?"), _written(day), f"The date is {_written(day)}."),
    ]  # fmt: skip
    if sum(line[1] == dearest[1] for line in lines) == 1:
        fields.append(
            (("Which item is the most expensive?",), dearest[0], f"{dearest[0]} costs most, {_money(dearest[1])}.")
        )
    rows = tuple((item, _money(cents)) for item, cents in lines)
    head = (rng.choice(PLACES), f"{_written(day)}  {hour:02d}:{minute:02d}")
    foot = (f"Total {_money(total)}", f"Cash {_money(paid)}", f"Change {_money(paid - total)}")
    return Document("receipt", shop, head, (), rows, foot, tuple(fields))


def form(rng: random.Random) -> Document:
    """A filled-in registration form."""
    name, course, town = _person(rng), rng.choice(_COURSES), rng.choice(PLACES)
    born, number = (
        date(1950, 1, 1) + timedelta(days=rng.randrange(19000)),
        f"{rng.randint(100, 999)}-{rng.randint(10, 99)}",
    )
    phone, seats = f"555-{rng.randint(1000, 9999)}", rng.randint(1, 4)
    rows = (
        ("Name", name), ("Date of birth", _written(born)), ("Town", town), ("Course", course), ("Telephone", phone),
        ("Seats", str(seats)), ("Member number", number),
    )  # fmt: skip
    fields: tuple[Field, ...] = (
        (("Whose form is this?", "Which name is entered in the form?"), name, f"The form was filled in for {name}."),
        (("Which course is booked?", "For which course is the registration?"), course, f"The course is {course}."),
        (("What is the date of birth?", "When was the applicant born?"), _written(born), f"The date of birth is {_written(born)}."),
        (("In which town does the applicant live?", "Which town is entered?"), town, f"The town entered is {town}."),
        (("What is the telephone number?", "At which number can the applicant be called?"), phone, f"The number is {phone}."),
        (("How many seats are booked?", "For how many people is the booking?"), str(seats), f"Seats booked: {seats}."),
        (("What is the member number?", "Which member number is given?"), number, f"The member number is {number}."),
    )  # fmt: skip
    return Document("form", "Registration form", ("Please write clearly.",), (), rows, (f"Signed: {name}",), fields)


def notice(rng: random.Random) -> Document:
    """An announcement with place, day, hour and price."""
    event, room, town, contact = rng.choice(_EVENTS), rng.choice(_ROOMS), rng.choice(PLACES), _person(rng)
    day, hour, fee = _day(rng), rng.randint(9, 20), rng.randint(2, 18) * 100
    body = (
        f"The neighbours of {town} invite everyone to the {event.lower()} at the {room}. Doors open at {hour}:00.",
        f"Admission is {_money(fee)}; children under twelve come in free. Helpers for the evening are welcome.",
        f"Questions? Ask {contact}, who looks after the programme.",
    )
    fields: tuple[Field, ...] = (
        (("Where does the event take place?", "Which building is the venue?"), room, f"It takes place at the {room}."),
        (("What is announced here?", "Which event does the notice announce?"), event, f"The notice announces: {event}."),
        (("What does admission cost?", "How much is a ticket?"), _money(fee), f"Admission is {_money(fee)}."),
        (("At what hour do the doors open?", "When do the doors open?"), f"{hour}:00", f"The doors open at {hour}:00."),
        (("Who answers questions?", "Who looks after the programme?"), contact, f"{contact} looks after the programme."),
        (("On which date is the event?", "When will this take place?"), _written(day), f"It is on {_written(day)}."),
        (("Which town is named?", "Whose neighbours send the invitation?"), town, f"The town named is {town}."),
    )  # fmt: skip
    return Document("notice", event, (_written(day), town), body, (), (), fields)


MAKERS = {"letter": letter, "invoice": invoice, "receipt": receipt, "form": form, "notice": notice}


def document_asks(document: Document, rng: random.Random) -> tuple[Ask, ...]:
    """Return a question per field, in a seeded phrasing and order."""
    asks = [Ask(rng.choice(questions), short, full) for questions, short, full in document.fields]
    asks.append(
        Ask(
            rng.choice(
                ("What kind of document is this?", "Is this a letter, an invoice, a receipt, a form or a notice?")
            ),
            document.kind,
            f"The page is {'an' if document.kind == 'invoice' else 'a'} {document.kind}.",
        )
    )
    rng.shuffle(asks)
    return tuple(asks)
