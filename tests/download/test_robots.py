import pytest

from infinity_mm.download.robots import MAX_ROBOTS_BYTES, parse_rules

URL = "http://a.test/pics/cat.jpg"


def allowed(text, url=URL, product="infinity-mm"):
    return parse_rules(text.encode() if isinstance(text, str) else text, product, 0.0).allow(url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("User-agent: *\nDisallow:", True),
        ("User-agent: *\nDisallow: /", False),
        ("User-agent: *\nDisallow: /pics/", False),
        ("User-agent: *\nDisallow: /other/", True),
        ("User-agent: *\nDisallow: /pics/\nAllow: /pics/cat", True),
        ("User-agent: *\nDisallow: /*.jpg$", False),
        ("User-agent: otherbot\nDisallow: /", True),
        ("User-agent: Infinity-MM\nDisallow: /", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: infinity-mm\nAllow: /", True),
        ("User-agent: otherbot\nUser-agent: infinity-mm\nDisallow: /pics", False),
        ("\ufeffUser-agent: *\nDisallow: /", False),
        ("<html><body>Disallow everything? No: not found</body></html>", True),
    ],
)
def test_rules(text, expected):
    assert allowed(text) is expected


def test_what_is_past_the_limit_is_ignored():
    filler = b"# " + b"x" * MAX_ROBOTS_BYTES + b"\n"
    assert allowed(filler + b"User-agent: *\nDisallow: /")
    assert not allowed(b"User-agent: *\nDisallow: /\n" + filler)


def test_crawl_delay_is_that_of_our_group():
    text = b"User-agent: *\nCrawl-delay: 9\n\nUser-agent: infinity-mm\nCrawl-delay: 2.5\n"
    rules = parse_rules(text, "infinity-mm", 0.0)
    assert rules.crawl_delay() == 2.5
    rules.shrink()
    assert rules.crawl_delay() == 2.5
    assert parse_rules(b"", "infinity-mm", 0.0).crawl_delay() == 0.0
