from infinity_mm.download import hosts as module
from infinity_mm.download.hosts import Hosts, Job
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.request import Request
from infinity_mm.download.urls import parse_url


def test_idle_hosts_are_forgotten_and_busy_ones_are_not(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 10)
    hosts = Hosts(DownloadPolicy())
    url = "http://busy/"
    busy = hosts.get("busy")
    busy.jobs.append(Job(Request(url), parse_url(url)))
    first = hosts.get("first")
    for n in range(100):
        hosts.get(f"h{n}").answered = True
    assert hosts.get("busy") is busy
    assert hosts.get("first") is not first
    assert hosts.get("h99").answered, "the latest are remembered"
    assert not hosts.get("h1").answered


def test_one_host_has_an_origin_for_each_scheme_and_port():
    host = Hosts(DownloadPolicy()).get("a.com")
    urls = ["http://a.com/x", "http://a.com:80/y", "https://a.com/", "http://a.com:81/"]
    names = [host.origin(parse_url(url)).name for url in urls]
    assert names == ["http://a.com", "http://a.com", "https://a.com", "http://a.com:81"]
    assert len(host.origins) == 3
