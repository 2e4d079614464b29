from tests.download.server import JPEG, fetch, policy, reply


def test_a_picture_comes_back_as_sent(server):
    url = server.on("a", "/cat.jpg", reply())
    (got,) = fetch([url], policy("a"))
    assert (got.url, got.content, got.reason, got.http_status) == (url, JPEG, None, 200)
    assert (got.final_url, got.content_type, got.requests) == (url, "image/jpeg", 1)
    assert got.seconds > 0
    assert [seen.path for seen in server.seen] == ["/robots.txt", "/cat.jpg"]
