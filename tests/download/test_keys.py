import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.download.keys import BITS, HostRange, bucket_of, host_of, is_storable, related, url_hash


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_the_ranges_cover_all_buckets_once(urls, per_range):
    ranges = HostRange.cut(urls, per_range)
    assert ranges[0].buckets[0] == 0
    assert ranges[-1].buckets[1] == 1 << BITS
    assert all(left.buckets[1] == right.buckets[0] for left, right in itertools.pairwise(ranges))
    assert len(ranges) == 1 << BITS or len(ranges) * per_range >= urls
    assert len(ranges) == 1 or (len(ranges) // 2) * per_range < urls


@given(st.text("01", max_size=BITS), st.text("01", max_size=BITS))
def test_ranges_meet_exactly_if_their_buckets_do(left, right):
    one, other = HostRange(left), HostRange(right)
    low, high = max(one.buckets[0], other.buckets[0]), min(one.buckets[1], other.buckets[1])
    assert one.meets(other) == other.meets(one) == (low < high)
    assert HostRange.of_folder(one.folder) == one


def test_folders_of_other_numbers_of_partitions_are_found():
    folders = ["hosts-all", "hosts-0", "hosts-01", "hosts-011", "hosts-00", "hosts-1", "lost+found"]
    assert related(folders, HostRange("01")) == ["hosts-0", "hosts-01", "hosts-011", "hosts-all"]


def test_a_host_has_one_bucket_whatever_the_spelling_of_its_urls():
    spellings = ("http://a.example/x", "https://A.EXAMPLE:8080/y?z", " http://a.example./w")
    assert {host_of(url) for url in spellings} == {"a.example"}
    assert host_of("ftp://a.example/x") == host_of("") == ""
    assert 0 <= bucket_of("a.example") < 1 << BITS


def test_names_of_urls():
    assert len(url_hash("http://a/é")) == 32
    assert url_hash("http://a/x") != url_hash("http://a/X")
    assert is_storable("http://a/é")
    assert not is_storable("http://a/\ud800")
