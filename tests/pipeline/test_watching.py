from infinity_mm.download.shard import ShardStats
from infinity_mm.fs import Location
from infinity_mm.pipeline.watching import FETCHING, Sums, Watch
from infinity_mm.store import Store


class Lines:
    def __init__(self):
        self.said = []

    def line(self, text):
        self.said.append(text)


def stats(urls, **failed):
    downloaded = urls - sum(failed.values())
    return ShardStats(
        urls=urls, downloaded=downloaded, bytes=10**6 * downloaded, failed=failed, requests=urls, seconds=1.0,
        images_per_second=float(downloaded),
    )  # fmt: skip


def test_sums_of_all_tasks_are_shown_with_rate_and_failures_by_class(tmp_path):
    store, reporter = Store(Location.of(tmp_path)), Lines()
    with Watch(reporter, store, every=60) as watch:
        for name, shards in (("0", [stats(5, timeout=2), stats(3)]), ("1", [stats(4, timeout=1, empty=1)])):
            sums = Sums(todo=10)
            for shard in shards:
                sums = sums.plus(shard)
            store.at(f"{FETCHING}/{name}.json").write_bytes(sums.model_dump_json().encode())
        total = watch.read()
    assert (total.todo, total.urls, total.failed) == (20, 12, {"empty": 1, "timeout": 3})
    assert total.line(2.0) == "fetch        12 of 20 URLs begun, 6/s, 8.0 MB; failed 4: timeout 3, empty 1"
    assert len(reporter.said) == 1


def test_lines_come_while_the_work_goes_on(tmp_path):
    store, reporter = Store(Location.of(tmp_path)), Lines()
    with Watch(reporter, store, every=0.01) as watch:
        store.at(f"{FETCHING}/0.json").write_bytes(Sums(todo=9, urls=3).model_dump_json().encode())
        while not reporter.said:
            watch._over.wait(0.01)
    assert reporter.said[0].startswith("fetch        3 of 9 URLs begun")
