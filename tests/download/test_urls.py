import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.download.urls import InvalidUrl, parse_url, redirect_url


@pytest.mark.parametrize(
    ("given_url", "sent"),
    [
        ("http://a.com", "http://a.com/"),
        ("HTTP://A.com:80/x", "http://a.com/x"),
        ("https://a.com:443?q=1", "https://a.com/?q=1"),
        ("https://a.com:8443/x", "https://a.com:8443/x"),
        ("  http://a.com/x y.jpg \n", "http://a.com/x%20y.jpg"),
        ("http://a.com/x\ty\n.jpg", "http://a.com/xy.jpg"),
        ("http://a.com/x#part", "http://a.com/x"),
        ("http://a.com/?a#b?c", "http://a.com/?a"),
        ("http://a.com\\x\\y.jpg?p=\\", "http://a.com/x/y.jpg?p=\\"),
        ("http://b\u00fccher.example/\u00fc.jpg", "http://xn--bcher-kva.example/%C3%BC.jpg"),
        ("http://\u4f8b\u3048.jp/", "http://xn--r8jz45g.jp/"),
        ("http://a.com/%E2%82%ac%2F%zz?x=%7e", "http://a.com/%E2%82%ac%2F%zz?x=%7e"),
        ("http://a.com/a|b[c]^d`e{f}", "http://a.com/a|b[c]%5Ed%60e%7Bf%7D"),
        ("http://a.com/?a b'c\"d<e>", "http://a.com/?a%20b%27c%22d%3Ce%3E"),
        ("http://a.com/x/../y/./z/..", "http://a.com/y/"),
        ("http://a.com/../../x", "http://a.com/x"),
        ("http://a.com/p/%2E%2e/x", "http://a.com/x"),
        ("http://a.com./x", "http://a.com/x"),
        ("http://a_b.com/x", "http://a_b.com/x"),
        ("http://2130706433/x", "http://127.0.0.1/x"),
        ("http://0x7f.1/x", "http://127.0.0.1/x"),
        ("http://\uff11\uff12\uff17\u30020.0.1/x", "http://127.0.0.1/x"),
        ("http://[2001:DB8:0::1]:8080/x", "http://[2001:db8::1]:8080/x"),
    ],
)
def test_what_is_sent(given_url, sent):
    target = parse_url(given_url)
    assert target.text == sent
    assert str(target.url) == sent
    assert target.url.raw_path_qs == target.path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.com/x.jpg",
        "//a.com/x.jpg",
        "ftp://a.com/x.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,iVBORw0KGgo=",
        "javascript:alert(1)",
        "http:/a.com",
        "http://",
        "http:///x.jpg",
        "http://user:secret@a.com/",
        "http://a.com:0/",
        "http://a.com:65536/",
        "http://a.com:8o/",
        "http://a b.com/",
        "http://a..com/",
        "http://%61.com/",
        "http://[::1/",
        "http://[a.com]/",
        "http://[fe80::1%25eth0]/",
        "http://256.256.256.256/",
        "http://a.com/\ud800",
        "http://" + "a" * 64 + ".com/",
        "http://a.com/" + "a" * 20_000,
    ],
)
def test_what_is_refused(url):
    with pytest.raises(InvalidUrl):
        parse_url(url)


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("/y.jpg", "http://a.com/y.jpg"),
        ("y.jpg", "http://a.com/d/y.jpg"),
        ("//b.com/y", "http://b.com/y"),
        ("https://b.com/y z", "https://b.com/y%20z"),
        ("?q=2", "http://a.com/d/x?q=2"),
        ("/caf\udcc3\udca9.jpg", "http://a.com/caf%C3%A9.jpg"),
        ("/\udce9.jpg", "http://a.com/%E9.jpg"),
    ],
)
def test_redirects_are_relative_to_where_they_came_from(location, sent):
    assert redirect_url(parse_url("http://a.com/d/x?q=1"), location).text == sent


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://a.com/", "http://[::1/", "data:,x"])
def test_redirects_lead_to_http_only(location):
    with pytest.raises(InvalidUrl):
        redirect_url(parse_url("http://a.com/"), location)


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    for url in (text, "http://" + text, "http://a.com/" + text, "http://a.com:" + text):
        try:
            target = parse_url(url)
        except InvalidUrl:
            continue
        assert target.text.isascii()
        assert not any(c in target.text for c in " \r\n#\x00")
        assert parse_url(target.text) == target, "what is sent is in its final form"
        assert str(target.url) == target.text
