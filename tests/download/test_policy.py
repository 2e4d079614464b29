import pytest
from pydantic import ValidationError

import infinity_mm
from infinity_mm.download.policy import DownloadPolicy


def test_the_default_says_who_it_is():
    policy = DownloadPolicy(contact="https://example.org/crawl")
    assert policy.header == f"infinity-mm/{infinity_mm.__version__} (image data curation) (+https://example.org/crawl)"
    assert policy.product == "infinity-mm"


def test_the_product_is_the_first_token():
    assert DownloadPolicy(user_agent="Our_Crawler/3").product == "our_crawler"


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_agent": "bot\r\nX-Evil: 1"},
        {"user_agent": "(no product)"},
        {"user_agent": "bot9/1"},
        {"contact": "caf\u00e9"},
        {"allow_hosts": ("10.0.0.0/33",)},
        {"concurrency": 0},
        {"retires": 3},
    ],
)
def test_what_means_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        DownloadPolicy.model_validate(wrong)
