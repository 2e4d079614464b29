"""Own data through the main job: URLs are downloaded, the books balance, a changed map makes its parts anew."""

import pytest
import yaml

from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest_only import ingest_only
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import SourceUse, load_recipe
from infinity_mm.store import Store
from tests.download.server import reply
from tests.pipeline.conftest import picture
from tests.sources.own.making import lines, pictures

pytestmark = pytest.mark.usefixtures("shared_ray")

HOST = "127.0.0.1"


def chat(question):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": "It is a picture."}]


@pytest.mark.slow
def test_own_data_of_two_families_in_one_recipe(web, tmp_path):
    for number in range(3):
        web.routes[HOST, f"/{number}.png"] = reply(picture(number))
    at = f"http://{HOST}:{web.port}"
    lines(tmp_path / "pairs/a.jsonl", *({"link": f"{at}/{n}.png", "alt": f"Picture {n}."} for n in range(4)))
    pictures(tmp_path / "chats", "images/0.png")
    part = {"type": "image_url", "image_url": {"url": f"{at}/1.png"}}
    lines(
        tmp_path / "chats/a.jsonl",
        {"messages": chat("<image>What?"), "images": ["0.png"]},
        {"messages": chat([part, {"type": "text", "text": "And this?"}]), "images": []},
        {"messages": chat("<image>Where?"), "images": ["1.png"]},
        {"messages": chat("<image><image>Two?"), "images": ["0.png"]},
    )
    tree = {
        "name": "mine",
        "download": {"allow_hosts": [HOST], "retries": 0, "idle_timeout": 2.0},
        "sources": [
            {
                "name": "my_pairs",
                "root": "pairs",
                "family": "image_text_pairs",
                "map": {"url": "link", "caption": "alt"},
            },
            {"name": "my_chats", "root": "chats", "family": "chat_messages", "license": "MIT"},
        ],
        "filters": [{"use": "structure", "with": {"max_drop": 1.0}}],
        "export": [{"name": "pq", "format": "parquet"}],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(tree))
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert [use.urls for use in recipe.sources] == [True, True]
    manifest = run(recipe, Location.of(tmp_path / "work"), RunOptions(quiet=True))
    pairs, chats = manifest.books["my_pairs"], manifest.books["my_chats"]
    assert (pairs.rows, pairs.kept, pairs.quarantined) == (4, 3, {"ingest.download_failed": 1})
    assert (chats.rows, chats.kept) == (4, 2)
    assert (chats.quarantined, chats.dropped) == (
        {"ingest.missing_image": 1},
        {"structure.placeholder_mismatch": 1},
    )
    assert [seen.path for seen in web.seen].count("/1.png") == 1, "one URL of two sources is fetched once"
    assert manifest.exports[0].samples == 5


@pytest.mark.slow
def test_another_map_is_made_anew_with_the_same_ids(tmp_path):
    lines(tmp_path / "d/a.jsonl", {"q": "Why?", "a": "Because.", "b": "Why not."})
    work = Location.of(tmp_path / "work")

    def ingest(**columns):
        use = SourceUse(name="my_set", root=Location.of(tmp_path / "d").uri, family="text_only", map=columns)
        manifest = ingest_only(use.checked(), work, RunOptions(quiet=True))
        (part,) = Store(work).at("records/my_set").files()
        record = Store(work).read(f"records/my_set/{part}").to_pylist()[0]
        made = {stage.name: stage.made for stage in manifest.stages}["ingest"]
        return made, record["messages"][-1]["content"], record["id"]

    first = ingest(question="q", answer="a")
    assert first[:2] == (1, "Because.")
    assert ingest(question="q", answer="b") == (1, "Why not.", first[2])
