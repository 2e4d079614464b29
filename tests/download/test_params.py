import pytest

from infinity_mm.download.params import DownloadParams, judgement, parse_params
from infinity_mm.errors import UsageError


def test_values_are_yaml_and_checked():
    params = parse_params(["allow_hosts=[127.0.0.1]", "retry=all", "respect_robots=false"])
    assert params.allow_hosts == ("127.0.0.1",)
    assert params.retry == "all"
    assert not params.respect_robots
    assert params.enabled
    assert not parse_params([], enabled=False).enabled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("retires=3", "'retries'"),
        ("retry", "KEY=VALUE"),
        ("retry=sometimes", "'sometimes'"),
        ("shard_urls=0", "greater than 0"),
        ("allow_hosts=[", "YAML"),
    ],
)
def test_a_wrong_policy_names_key_and_remedy(text, words):
    with pytest.raises(UsageError, match=words):
        parse_params([text])


def test_patience_does_not_change_the_judgement_and_manners_do():
    plain = judgement(DownloadParams())
    assert judgement(DownloadParams(retries=9, concurrency=3, retry="all", shard_urls=5)) == plain
    assert judgement(DownloadParams(allow_hosts=("10.0.0.1",))) != plain
    assert judgement(DownloadParams(respect_robots=False)) != plain
