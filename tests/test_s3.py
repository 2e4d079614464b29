"""The tests' own S3 server, through pyarrow and request by request."""

import os
import urllib.error
import urllib.request
from base64 import b64encode
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs as pafs

from tests.objectstore import BUCKET, serve
from tests.s3.bodies import aws_chunks, crc64nvme
from tests.s3.objects import MIN_PART, PAGE, Bucket, Refusal, cut

ODD = ["a b", "a+b", "a%20b", "100%", "a#b?c=d&e", "日本/ä", "<&\"'>", "[1]*", "a\\b", "tab\tbed", "~!$();=@,"]


@pytest.fixture
def client(bucket: str) -> pafs.FileSystem:
    return pafs.FileSystem.from_uri(bucket.format(""))[0]


def put(client: pafs.FileSystem, key: str, data: bytes) -> None:
    with client.open_output_stream(f"{BUCKET}/{key}") as stream:
        stream.write(data)


def get(client: pafs.FileSystem, key: str) -> bytes:
    with client.open_input_file(f"{BUCKET}/{key}") as stream:
        return stream.read()


def names(client: pafs.FileSystem, folder: str, recursive: bool = False) -> list[str]:
    infos = client.get_file_info(pafs.FileSelector(f"{BUCKET}/{folder}", recursive=recursive))
    return sorted(info.path.removeprefix(f"{BUCKET}/{folder}/") for info in infos)


def test_what_is_put_comes_back_whole_and_in_ranges(client):
    put(client, "put/one", b"0123456789")
    with client.open_input_file(f"{BUCKET}/put/one") as stream:
        assert (stream.size(), stream.read_at(3, 4), stream.read_at(99, 8)) == (10, b"456", b"89")
        assert stream.read() == b"0123456789"
    info = client.get_file_info(f"{BUCKET}/put/one")
    assert (info.type, info.size) == (pafs.FileType.File, 10)
    assert info.mtime_ns % 10**9 == 0
    assert client.get_file_info(pafs.FileSelector(f"{BUCKET}/put"))[0].mtime_ns == info.mtime_ns
    put(client, "put/one", b"")
    assert get(client, "put/one") == b""


def test_a_large_file_goes_in_parts(client):
    data = os.urandom(24 << 20)
    put(client, "parts/large", data)
    assert get(client, "parts/large") == data
    with client.open_input_file(f"{BUCKET}/parts/large") as stream:
        assert stream.read_at(100, (10 << 20) - 50) == data[(10 << 20) - 50 : (10 << 20) + 50]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_kept_listed_and_moved(client, name):
    put(client, f"odd/{name}/x", name.encode())
    client.move(f"{BUCKET}/odd/{name}/x", f"{BUCKET}/odd/{name}/{name}")
    assert get(client, f"odd/{name}/{name}") == name.encode()
    assert f"{name}/{name}" in names(client, "odd", recursive=True)
    client.delete_dir(f"{BUCKET}/odd/{name}")
    assert client.get_file_info(f"{BUCKET}/odd/{name}").type == pafs.FileType.NotFound


def test_listings_of_several_pages_are_whole_and_folders_stand_once(client):
    files = [f"{number % 3}/{number:04}" for number in range(2 * PAGE + 30)]
    for name in files:
        put(client, f"many/{name}", b"x")
    assert names(client, "many", recursive=True) == sorted(["0", "1", "2", *files])
    assert names(client, "many") == ["0", "1", "2"]
    assert len(names(client, "many/0")) == 77
    client.delete_dir(f"{BUCKET}/many")
    assert client.get_file_info(f"{BUCKET}/many").type == pafs.FileType.NotFound


def test_what_is_not_there_is_an_error_that_says_so(client, bucket):
    with pytest.raises(FileNotFoundError):
        client.open_input_file(f"{BUCKET}/nothing")
    with pytest.raises(OSError, match="NO_SUCH_BUCKET"):
        client.get_file_info(pafs.FileSelector("no-bucket"))
    with pytest.raises(OSError, match="does not exist"):
        client.move(f"{BUCKET}/nothing", f"{BUCKET}/something")
    with pytest.raises(OSError, match="does not exist"):
        client.open_output_stream("no-bucket/x")
    assert client.get_file_info("no-bucket").type == pafs.FileType.NotFound
    assert [info.base_name for info in client.get_file_info(pafs.FileSelector(""))] == [BUCKET]


def ask(bucket: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Send one request without a client's help; returns status and body."""
    host = dict(pair.split("=") for pair in urlsplit(bucket).query.split("&"))["endpoint_override"]
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(f"http://{host}{path}", body, names, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/bucket/none", {}, 404, b"NoSuchKey"),
        ("GET", "/none/none", {}, 404, b"NoSuchBucket"),
        ("GET", "/bucket/there", {"Range": "bytes=5-9"}, 416, b"InvalidRange"),
        ("GET", "/bucket/there", {"Range": "bytes=-2"}, 206, b"re"),
        ("PUT", "/bucket/there?partNumber=1&uploadId=x", {}, 404, b"NoSuchUpload"),
        ("PUT", "/bucket/x", {"Content_MD5": b64encode(b"0" * 16).decode()}, 400, b"BadDigest"),
        ("PUT", "/bucket/x", {"x_amz_checksum_crc32": "AAAAAA=="}, 400, b"BadDigest"),
        ("PUT", "/bucket/" + "x" * 1025, {}, 400, b"KeyTooLongError"),
    ],
)
def test_error_codes(bucket, method, path, headers, status, code):
    ask(bucket, "/bucket/there", "PUT", b"there")
    found = ask(bucket, path, method, b"body" if method == "PUT" else None, **headers)
    assert (found[0], code in found[1]) == (status, True)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/bucket?list-type=2&encoding-type=url", {}),
        ("GET", "/bucket", {}),
        ("GET", "/bucket/x?versionId=1", {}),
        ("GET", "/bucket/a+b", {}),
        ("GET", "/bucket/x", {"If_Match": "x"}),
        ("GET", "/bucket/x", {"Range": "bytes=0-1,4-5"}),
        ("PUT", "/bucket/x", {"x_amz_acl": "private"}),
        ("PUT", "/bucket/x", {"x_amz_checksum_sha1": "x"}),
        ("DELETE", "/bucket", {}),
        ("PATCH", "/bucket/x", {}),
        ("LOCK", "/bucket/x", {}),
    ],
)
def test_what_the_server_does_not_know_fails_the_test_that_asked(tmp_path, method, path, headers):
    with pytest.raises(AssertionError, match="501"), serve(tmp_path) as place:
        ask(place, "/bucket/x", "PUT", b"content")
        assert ask(place, path, method, **headers)[0] == 501


def test_the_server_ends_when_it_is_not_needed(tmp_path):
    with serve(tmp_path) as place:
        assert ask(place, "/")[0] == 200
    with pytest.raises(urllib.error.URLError):
        ask(place, "/")


def test_the_sum_of_the_standard():
    """The check value of CRC-64/NVME in the catalogue of Greg Cook."""
    assert crc64nvme(b"123456789") == 0xAE8B14860A799888


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=4))
def test_chunks_are_joined_and_their_sum_is_that_of_the_whole(chunks):
    whole = b"".join(chunks)
    sum_ = b64encode(crc64nvme(whole).to_bytes(8, "big")).decode()
    raw = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    raw += b"0\r\nx-amz-checksum-crc64nvme:" + sum_.encode() + b"\r\n\r\n"
    headers = {"x-amz-trailer": "x-amz-checksum-crc64nvme", "x-amz-decoded-content-length": str(len(whole))}
    assert aws_chunks(raw, headers) == (whole, {"x-amz-checksum-crc64nvme": sum_})
    with pytest.raises(Refusal):
        aws_chunks(raw, {**headers, "x-amz-decoded-content-length": str(len(whole) + 1)})
    with pytest.raises(Refusal):
        aws_chunks(raw[:-10], headers)


keys = st.text(st.sampled_from("ab/é日\U0001f600"), min_size=1, max_size=6)


@given(st.sets(keys, max_size=30), keys, st.sampled_from(["", "/"]), st.integers(1, 4))
def test_pages_together_are_the_listing_in_the_order_of_bytes(held, prefix, delimiter, most):
    bucket = Bucket()
    for key in held:
        bucket.put(key, key.encode(), "")
    found, folders, token = [], [], None
    while True:
        page = bucket.list(prefix, delimiter, token, most)
        assert len(page.objects) + len(page.prefixes) <= most
        found += [key for key, _ in page.objects]
        folders += page.prefixes
        if (token := page.token) is None:
            break
    below = [key for key in held if key.startswith(prefix)]
    rolled = {key for key in below if delimiter and delimiter in key[len(prefix) :]}
    assert found == sorted((key for key in below if key not in rolled), key=str.encode)
    expected = {prefix + key[len(prefix) :].partition("/")[0] + "/" for key in rolled}
    assert folders == sorted(expected, key=str.encode)


@given(st.binary(max_size=20), st.integers(0, 25), st.integers(0, 25))
def test_ranges_are_slices(data, first, last):
    if first >= len(data) or last < first:
        with pytest.raises(Refusal, match="416"):
            cut(data, f"bytes={first}-{last}")
    else:
        assert cut(data, f"bytes={first}-{last}") == (first, data[first : last + 1])


def test_parts_must_be_named_in_order_by_their_tags_and_be_large_but_the_last():
    bucket = Bucket()
    upload = bucket.begin("x", "")
    tags = [bucket.add_part("x", upload, number, data) for number, data in ((1, bytes(MIN_PART)), (2, b"b"), (3, b"c"))]
    for named, code in (
        ([(2, tags[1]), (1, tags[0])], "InvalidPartOrder"),
        ([(1, tags[1])], "InvalidPart"),
        ([(2, tags[1]), (3, tags[2])], "EntityTooSmall"),
        ([], "MalformedXML"),
    ):
        with pytest.raises(Refusal, match=code):
            bucket.complete("x", upload, named)
    assert bucket.complete("x", upload, [(1, tags[0]), (3, tags[2])]).data == bytes(MIN_PART) + b"c"
    with pytest.raises(Refusal, match="NoSuchUpload"):
        bucket.abort("x", upload)


def test_an_upload_that_is_aborted_leaves_nothing(bucket):
    status, body = ask(bucket, "/bucket/aborted?uploads", "POST", b"")
    upload = body.decode().partition("<UploadId>")[2].partition("<")[0]
    assert (status, ask(bucket, f"/bucket/aborted?partNumber=1&uploadId={upload}", "PUT", b"x")[0]) == (200, 200)
    assert ask(bucket, f"/bucket/aborted?uploadId={upload}", "DELETE")[0] == 204
    assert ask(bucket, "/bucket/aborted")[0] == 404
    assert ask(bucket, f"/bucket/aborted?uploadId={upload}", "DELETE")[0] == 404
