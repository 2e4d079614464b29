"""The operations of S3 that the server knows, each with the parameters and headers that it knows: all else is refused."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.s3.objects import Bucket, Object, Page, Refusal, cut

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
#: Keys of a DeleteObjects request at most.
_MOST_DELETED = 1000


@dataclass(frozen=True)
class Request:
    """A request, read and decoded; names of headers are in lower case."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Buckets = dict[str, Bucket]


@dataclass(frozen=True)
class Operation:
    """One operation: requests that are its, and what it does."""

    name: str
    method: str
    #: "service", "bucket" or "object".
    level: str
    act: Callable[[Buckets, Request], Answer]
    #: Parameters that tell it from others, and those that it may have.
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    #: Headers of its own, beside those that every request may have.
    headers: frozenset[str] = frozenset()


def xml(body: str) -> Answer:
    """Return an answer of XML."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return Answer(body=text.encode(), headers={"Content-Type": "application/xml"})


def refused(refusal: Refusal, resource: str) -> Answer:
    """Return the answer for an error."""
    body = f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
    answer = xml(f"{body}<Resource>{escape(resource)}</Resource><RequestId>0</RequestId></Error>")
    return Answer(refusal.status, answer.body, answer.headers)


def stamp(seconds: int) -> str:
    """Return a time as S3's XML has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def bucket_of(buckets: Buckets, request: Request) -> Bucket:
    """Return the bucket that a request names."""
    if request.bucket not in buckets:
        raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
    return buckets[request.bucket]


def list_buckets(buckets: Buckets, request: Request) -> Answer:
    """Name all buckets."""
    names = "".join(
        f"<Bucket><Name>{escape(name)}</Name><CreationDate>{stamp(0)}</CreationDate></Bucket>"
        for name in sorted(buckets)
    )
    owner = "<Owner><ID>tests</ID></Owner>"
    return xml(
        f'<ListAllMyBucketsResult xmlns="{_NAMESPACE}">{owner}<Buckets>{names}</Buckets></ListAllMyBucketsResult>'
    )


def create_bucket(buckets: Buckets, request: Request) -> Answer:
    """Make a bucket; one that is there stays as it is, as in us-east-1."""
    buckets.setdefault(request.bucket, Bucket())
    return Answer(headers={"Location": f"/{request.bucket}"})


def head_bucket(buckets: Buckets, request: Request) -> Answer:
    """Say whether a bucket is there."""
    bucket_of(buckets, request)
    return Answer(headers={"x-amz-bucket-region": "us-east-1"})


def list_objects(buckets: Buckets, request: Request) -> Answer:
    """Answer ListObjectsV2."""
    query = request.query
    if query["list-type"] != "2" or "list-type" not in query:
        raise Refusal(501, "NotImplemented", f"list-type {query['list-type']!r}")
    prefix, delimiter, most = query.get("prefix", ""), query.get("delimiter", ""), int(query.get("max-keys", 1000))
    page = bucket_of(buckets, request).list(prefix, delimiter, query.get("continuation-token"), most)
    return xml(_listing(request.bucket, prefix, delimiter, most, page))


def _listing(bucket: str, prefix: str, delimiter: str, most: int, page: Page) -> str:
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{stamp(one.modified)}</LastModified>"
        f"<ETag>{escape(one.etag)}</ETag><Size>{len(one.data)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key, one in page.objects
    )
    common = "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in page.prefixes)
    token = "" if page.token is None else f"<NextContinuationToken>{page.token}</NextContinuationToken>"
    return (
        f'<ListBucketResult xmlns="{_NAMESPACE}"><Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>'
        f"<Delimiter>{escape(delimiter)}</Delimiter><MaxKeys>{most}</MaxKeys>"
        f"<KeyCount>{len(page.objects) + len(page.prefixes)}</KeyCount>"
        f"<IsTruncated>{str(page.token is not None).lower()}</IsTruncated>{token}{contents}{common}</ListBucketResult>"
    )


def delete_objects(buckets: Buckets, request: Request) -> Answer:
    """Answer DeleteObjects, which must come with a checksum."""
    if (
        not {"content-md5", "x-amz-checksum-crc64nvme", "x-amz-checksum-crc32", "x-amz-trailer"}
        & request.headers.keys()
    ):
        raise Refusal(400, "InvalidRequest", "Missing required header for this request: Content-MD5")
    tree = parse(request.body, "Delete", {"Object", "Key", "Quiet"})
    keys = [node.text or "" for node in tree.iter("Key")]
    if not 1 <= len(keys) <= _MOST_DELETED:
        raise Refusal(400, "MalformedXML", f"{len(keys)} keys")
    bucket = bucket_of(buckets, request)
    for key in keys:
        bucket.delete(key)
    quiet = tree.findtext("Quiet") == "true"
    deleted = "" if quiet else "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
    return xml(f'<DeleteResult xmlns="{_NAMESPACE}">{deleted}</DeleteResult>')


def _described(one: Object) -> dict[str, str]:
    modified = formatdate(one.modified, usegmt=True)
    return {"ETag": one.etag, "Last-Modified": modified, "Content-Type": one.content_type, "Accept-Ranges": "bytes"}


def get_object(buckets: Buckets, request: Request) -> Answer:
    """Answer GetObject, and HeadObject with a body that is not sent."""
    one = bucket_of(buckets, request).get(request.key)
    if "range" not in request.headers:
        return Answer(200, one.data, _described(one))
    begin, data = cut(one.data, request.headers["range"])
    place = {"Content-Range": f"bytes {begin}-{begin + len(data) - 1}/{len(one.data)}"}
    return Answer(206, data, _described(one) | place)


def put_object(buckets: Buckets, request: Request) -> Answer:
    """Answer PutObject."""
    content_type = request.headers.get("content-type", "binary/octet-stream")
    one = bucket_of(buckets, request).put(request.key, request.body, content_type)
    return Answer(headers={"ETag": one.etag})


def copy_object(buckets: Buckets, request: Request) -> Answer:
    """Answer CopyObject."""
    bucket = bucket_of(buckets, request)
    name, _, key = request.headers["x-amz-copy-source"].removeprefix("/").partition("/")
    if "+" in key or not key:
        raise Refusal(501, "NotImplemented", f"copy source {key!r}")
    if (name, unquote(key)) == (request.bucket, request.key):
        raise Refusal(
            400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself"
        )
    if name not in buckets:
        raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
    source = buckets[name].get(unquote(key))
    one = bucket.put(request.key, source.data, source.content_type)
    return xml(
        f'<CopyObjectResult xmlns="{_NAMESPACE}"><ETag>{escape(one.etag)}</ETag>'
        f"<LastModified>{stamp(one.modified)}</LastModified></CopyObjectResult>"
    )


def delete_object(buckets: Buckets, request: Request) -> Answer:
    """Answer DeleteObject."""
    bucket_of(buckets, request).delete(request.key)
    return Answer(204)


def create_upload(buckets: Buckets, request: Request) -> Answer:
    """Answer CreateMultipartUpload."""
    content_type = request.headers.get("content-type", "binary/octet-stream")
    name = bucket_of(buckets, request).begin(request.key, content_type)
    return xml(
        f'<InitiateMultipartUploadResult xmlns="{_NAMESPACE}"><Bucket>{escape(request.bucket)}</Bucket>'
        f"<Key>{escape(request.key)}</Key><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
    )


def upload_part(buckets: Buckets, request: Request) -> Answer:
    """Answer UploadPart."""
    number = int(request.query["partNumber"])
    etag = bucket_of(buckets, request).add_part(request.key, request.query["uploadId"], number, request.body)
    return Answer(headers={"ETag": etag})


def complete_upload(buckets: Buckets, request: Request) -> Answer:
    """Answer CompleteMultipartUpload."""
    tree = parse(request.body, "CompleteMultipartUpload", {"Part", "PartNumber", "ETag", "ChecksumCRC64NVME"})
    parts = [(int(node.findtext("PartNumber", "0")), node.findtext("ETag", "")) for node in tree.iter("Part")]
    one = bucket_of(buckets, request).complete(request.key, request.query["uploadId"], parts)
    return xml(
        f'<CompleteMultipartUploadResult xmlns="{_NAMESPACE}"><Bucket>{escape(request.bucket)}</Bucket>'
        f"<Key>{escape(request.key)}</Key><ETag>{escape(one.etag)}</ETag></CompleteMultipartUploadResult>"
    )


def abort_upload(buckets: Buckets, request: Request) -> Answer:
    """Answer AbortMultipartUpload."""
    bucket_of(buckets, request).abort(request.key, request.query["uploadId"])
    return Answer(204)


def parse(body: bytes, root: str, known: set[str]) -> ElementTree.Element:
    """Return XML without its namespaces; raises `Refusal` for another root and for elements that are not known."""
    try:
        tree = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Refusal(400, "MalformedXML", str(error)) from error
    for node in tree.iter():
        node.tag = node.tag.rpartition("}")[2]
    if tree.tag != root or (unknown := {node.tag for node in tree.iter()} - known - {root}):
        raise Refusal(501, "NotImplemented", f"elements {tree.tag}, {sorted(unknown)}")
    return tree


_UPLOAD = frozenset({"uploadId"})
_SUMS = frozenset({"x-amz-checksum-crc64nvme", "x-amz-checksum-crc32", "x-amz-decoded-content-length", "x-amz-trailer"})
_SENT = _SUMS | {"content-md5", "content-encoding"}
_READ = frozenset({"range", "x-amz-checksum-mode"})
_LISTED = frozenset({"prefix", "delimiter", "max-keys", "continuation-token"})
OPERATIONS = (
    Operation("ListBuckets", "GET", "service", list_buckets),
    Operation("CreateBucket", "PUT", "bucket", create_bucket),
    Operation("HeadBucket", "HEAD", "bucket", head_bucket),
    Operation("ListObjectsV2", "GET", "bucket", list_objects, frozenset({"list-type"}), _LISTED),
    Operation("DeleteObjects", "POST", "bucket", delete_objects, frozenset({"delete"}), headers=_SENT),
    Operation("CopyObject", "PUT", "object", copy_object, headers=frozenset({"x-amz-copy-source"})),
    Operation("PutObject", "PUT", "object", put_object, headers=_SENT),
    Operation("GetObject", "GET", "object", get_object, headers=_READ),
    Operation("HeadObject", "HEAD", "object", get_object, headers=_READ - {"range"}),
    Operation("DeleteObject", "DELETE", "object", delete_object),
    Operation("CreateMultipartUpload", "POST", "object", create_upload, frozenset({"uploads"})),
    Operation("UploadPart", "PUT", "object", upload_part, _UPLOAD | {"partNumber"}, headers=_SENT),
    Operation("CompleteMultipartUpload", "POST", "object", complete_upload, _UPLOAD),
    Operation("AbortMultipartUpload", "DELETE", "object", abort_upload, _UPLOAD),
)
#: Headers of any request. The two of ``amz-sdk`` count the client's tries.
_COMMON = frozenset(
    {
        "accept", "accept-encoding", "amz-sdk-invocation-id", "amz-sdk-request", "authorization", "connection",
        "content-length", "content-type", "expect", "host", "transfer-encoding", "user-agent", "x-amz-api-version",
        "x-amz-content-sha256", "x-amz-date",
    }
)  # fmt: skip


def operation_of(request: Request) -> Operation:
    """Return the operation that a request asks for; raises `Refusal` (501) where none knows all of it."""
    level = "object" if request.key else "bucket" if request.bucket else "service"
    copies = "x-amz-copy-source" in request.headers
    for one in OPERATIONS:
        if (one.method, one.level) != (request.method, level) or copies != (one.name == "CopyObject"):
            continue
        if one.needs <= request.query.keys() <= one.needs | one.takes:
            if unknown := request.headers.keys() - _COMMON - one.headers:
                raise Refusal(501, "NotImplemented", f"{one.name} with headers {sorted(unknown)}")
            return one
    raise Refusal(501, "NotImplemented", f"{request.method} of a {level} with {sorted(request.query)}")
