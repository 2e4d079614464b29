"""Where naive deduplication breaks: templated questions on charts, blank pictures, chains. Small real runs."""

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image, ImageDraw, ImageEnhance, ImageStat

from infinity_mm.errors import StageError
from infinity_mm.explain import explain
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.decontam.sets import encoded, scenes
from tests.running import infinity_mm

pytestmark = pytest.mark.usefixtures("shared_ray")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August")


class Rows:
    """A source of rows with a picture each, written as they are added."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lines: list[str] = []
        (root / "images").mkdir(parents=True)

    def add(self, name: str, question: str, answer: str, picture: bytes | None = None) -> None:
        if picture is not None:
            (self.root / f"images/{name}.img").write_bytes(picture)
        mark = "" if picture is None else "<image>\n"
        turns = [{"role": "user", "content": mark + question}, {"role": "assistant", "content": answer}]
        pictures = [] if picture is None else [f"{name}.img"]
        self._lines.append(json.dumps({"id": name, "images": pictures, "messages": turns}))

    def write(self) -> None:
        (self.root / "train.jsonl").write_text("\n".join(self._lines))

    def use(self, category: str = "general", priority: int = 1) -> dict[str, object]:
        return {
            "name": self.root.name,
            "root": str(self.root),
            "family": "chat_messages",
            "image_root": ["images"],
            "category": category,
            "priority": priority,
        }


def go(folder: Path, uses: list[dict[str, object]], address: str | None = None, **dedup: object):
    """Run the sources through deduplication alone; return native id -> ledger row, and the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path, work = folder / "recipe.yaml", folder / "work"
    path.write_text(yaml.safe_dump({"name": "rails", "partition_rows": 500, "sources": uses, "dedup": dedup}))
    run(load_recipe(path), Location.of(work), RunOptions(address, quiet=True))
    names = {row["id"]: row["source_id"] for row in _read(work / "records", ["id", "source_id"])}
    return {names[row["id"]]: row | {"winner": names.get(row["winner"])} for row in _read(work / "ledger")}, work


def _read(folder: Path, columns: list[str] | None = None) -> list[dict[str, object]]:
    return [row for path in sorted(folder.rglob("part-*")) for row in pq.read_table(path, columns=columns).to_pylist()]


def removed(ledger: dict[str, dict[str, object]]) -> dict[str, tuple[object, object]]:
    return {name: (row["reason"], row["winner"]) for name, row in ledger.items() if row["outcome"] != "kept"}


def chart(number: int) -> bytes:
    """Return one of 9 ** 4 charts of one layout: axes, title and eight bars, of which four differ."""
    page = Image.new("RGB", (160, 120), "white")
    draw = ImageDraw.Draw(page)
    draw.line((20, 10, 20, 105, 150, 105), fill="black", width=2)
    draw.text((50, 0), "Sales in 2019", fill="black")
    for bar in range(8):
        height = 30 + 4 * (number // 9 ** (bar // 2) % 9 if bar % 2 else 3)
        draw.rectangle((26 + 15 * bar, 105 - height, 36 + 15 * bar, 105), fill="steelblue")
    return encoded(page)


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """3,000 rows of one template about charts of one layout, with short answers; then three real copies."""
    rows = Rows(tmp_path_factory.mktemp("charts") / "charts")
    for number in range(3_000):
        month = MONTHS[number % 8]
        kind = number % 3
        question = (
            f"Look at the chart and read off the bar of {month}. How many units were sold in {month} of that year?"
            if kind == 0
            else "Does the chart show more sales in June than in March? Answer yes or no."
        )
        answer = str(30 + number % 40) if kind == 0 else ("Yes" if kind == 1 else "No")
        rows.add(f"r{number}", question, answer, chart(number))
    for number in (1, 2, 300):
        month = MONTHS[number % 8]
        question = (
            f"look at the chart and read off the bar of {month}. How many units were sold in {month} of that year?"
            if number % 3 == 0
            else "Does the chart show more sales in June than in March?  Answer YES or no!"
        )
        answer = str(30 + number % 40) if number % 3 == 0 else ("yes" if number % 3 == 1 else "no.")
        rows.add(f"z{number}", question, answer, chart(number))
    rows.write()
    return rows


PLANTED = {frozenset((f"r{number}", f"z{number}")) for number in (1, 2, 300)}


def pairs(ledger: dict[str, dict[str, object]]) -> set[frozenset[object]]:
    return {frozenset((name, winner)) for name, (_, winner) in removed(ledger).items()}


@pytest.fixture(scope="module")
def templated(charts, ray_node, tmp_path_factory):
    """Return the ledger of a run in pair mode, without a category that would say what the pictures are, and its folder."""
    return go(tmp_path_factory.mktemp("templated"), [charts.use("general")], ray_node)


@pytest.fixture
def again(templated, tmp_path: Path) -> Path:
    """Return a folder whose run has ingested the charts already."""
    shutil.copytree(templated[1], tmp_path / "work")
    return tmp_path


def test_pair_mode_removes_nothing_of_a_template_but_its_copies(templated):
    ledger, work = templated
    assert len(ledger) == 3_003
    assert pairs(ledger) == PLANTED
    lost, (_, winner) = next(iter(removed(ledger).items()))
    life = explain(Store(Location.of(work)), ledger[lost]["id"])
    assert life.winner["id"] == ledger[winner]["id"]
    assert life.ledger["detail"] == "jaccard=1.000; hamming=0"
    shown = infinity_mm("explain", work, ledger[lost]["id"]).stdout
    assert f"lost to     {ledger[winner]['id']}" in shown
    assert "decided by  jaccard=1.000; hamming=0" in shown


@pytest.mark.slow
def test_a_category_of_rendered_pictures_says_the_same(charts, tmp_path):
    assert pairs(go(tmp_path, [charts.use("doc_chart_screen")])[0]) == PLANTED


@pytest.mark.parametrize(
    "dedup",
    [
        pytest.param({"mode": "text", "threshold": 0.3, "min_near_words": 4, "max_cluster": 500}, id="text"),
        pytest.param(
            {"mode": "image", "max_flat": 1.0, "radius": 16, "max_thumb_mean": 60.0, "max_thumb_peak": 255.0},
            id="image",
        ),
    ],
)
def test_a_careless_threshold_stops_the_run_and_shows_the_cluster(charts, templated, again, dedup):
    with pytest.raises(StageError) as stopped:
        go(again, [charts.use("general")], **dedup)
    told = str(stopped.value)
    found = re.search(r"dedup: (\d+) rows would be removed for (\w{32}), more than dedup.max_cluster=", told)
    assert found is not None, told
    assert int(found[1]) > 500
    ids = {row["id"] for row in templated[0].values()}
    members = re.findall(r"^  (\w{32})  (?:exact_text|near_text|same_image)  .*  lost to (\w{32})$", told, re.MULTILINE)
    assert len({member for member, _ in members}) == 5
    assert {winner for _, winner in members} == {found[2]}
    assert ids.issuperset({found[2], *(member for member, _ in members)})


def test_a_mode_that_empties_a_source_stops_the_run(charts, again):
    with pytest.raises(StageError, match=r"source 'charts' would lose 29\d\d of 3003 rows.*max_drop=0\.9") as stopped:
        go(again, [charts.use("general")], mode="text")
    assert str(stopped.value).count("  exact_text  ") == 5


def near_white(number: int) -> bytes:
    """Return a page of almost nothing: a few grey dots, at other places for each number."""
    page = Image.new("L", (96, 96), 254)
    for step in range(12):
        page.putpixel(((number * 37 + step * 29) % 96, (number * 53 + step * 41) % 96), 235)
    return encoded(page)


@pytest.mark.parametrize("mode", ["pair", "image"])
def test_blank_pictures_are_the_same_by_their_pixels_only(tmp_path, mode):
    rows = Rows(tmp_path / "blanks")
    white, black = (encoded(Image.new("RGB", (96, 96), tone)) for tone in ("white", "black"))
    rows.add("white", "What is on the page?", "Nothing.", white)
    rows.add("white-again", "what is on the page", "nothing", encoded(Image.new("L", (96, 96), 255)))
    rows.add("white-other", "Is the page printed on?", "No.", white)
    rows.add("black", "What is on the page?", "Nothing.", black)
    for number in range(20):
        rows.add(f"dots-{number}", "What is on the page?", "Nothing.", near_white(number))
        rows.add(f"dots-asked-{number}", f"Is dot number {number} there?", "Yes.", near_white(number))
    rows.write()
    ledger, _ = go(tmp_path, [rows.use()], mode=mode)
    dots = {frozenset((f"dots-{number}", f"dots-asked-{number}")) for number in range(20)}
    if mode == "pair":
        assert pairs(ledger) == {frozenset(("white", "white-again"))}
    else:  # one row of each page stays, and none is lost to another page
        whites = pairs(ledger) - dots
        assert pairs(ledger) >= dots
        assert len(removed(ledger)) == 22
        assert frozenset().union(*whites) == {"white", "white-again", "white-other"}


def text(number: int, changed: int) -> str:
    """Return 60 words, of which the first are others."""
    return " ".join(f"{'x' if place < changed else 'w'}{number}p{place}" for place in range(60))


#: In keep order, the places of a chain, and who is lost to whom: its ends stay unless they lose to the middle itself.
CHAINS = (("a", "c", "b"), {"b": "a"}), (("c", "a", "b"), {"b": "c"}), (("b", "a", "c"), {"a": "b", "c": "b"})


@pytest.mark.parametrize("kind", ["text", "image"])
def test_no_row_of_a_chain_is_lost_to_one_that_is_unlike_it(tmp_path, kind):
    """Of a, b and c, the neighbours are near and a and c are not; three such chains, kept in three orders."""
    sources = [Rows(tmp_path / f"rank{rank}") for rank in range(3)]
    for number, ((order, _), photo) in enumerate(zip(CHAINS, scenes(12)[::5], strict=True)):
        for rank, name in enumerate(order):
            step = "abc".index(name)
            if kind == "text":
                sources[rank].add(f"{number}{name}", "Say it.", text(number, 5 * step))
            else:
                brighter = ImageEnhance.Brightness(photo).enhance(
                    1 + 3.0 * step / ImageStat.Stat(photo.convert("L")).mean[0]
                )
                sources[rank].add(f"{number}{name}", f"What is this, {name}?", "A roof.", encoded(brighter))
    for source in sources:
        source.write()
    uses = [source.use(priority=rank) for rank, source in enumerate(sources)]
    ledger, work = go(tmp_path, uses, max_drop=1.0, mode="image" if kind == "image" else "pair")
    lost = {name: winner for name, (_, winner) in removed(ledger).items()}
    assert lost == {
        f"{number}{name}": f"{number}{winner}"
        for number, (_, each) in enumerate(CHAINS)
        for name, winner in each.items()
    }
    for name, winner in lost.items():
        life = explain(Store(Location.of(work)), ledger[name]["id"])
        assert life.winner["id"] == ledger[winner]["id"]
        if kind == "text":
            assert 0.7 <= life.attributes["dedup"]["similarity"] < 0.85
            assert life.ledger["detail"].startswith("jaccard=0.")
        else:
            assert life.attributes["dedup"]["hamming"] <= 8
            assert life.ledger["detail"].startswith("hamming=")
