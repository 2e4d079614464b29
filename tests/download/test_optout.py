import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from infinity_mm.download.optout import opt_out
from infinity_mm.download.policy import DownloadPolicy

POLICY = DownloadPolicy(user_agent="My-Bot/2.0 (test)")


def said(*headers, policy=POLICY):
    return opt_out(CIMultiDictProxy(CIMultiDict(headers)), policy)


def tag(*values, policy=POLICY):
    return said(*(("X-Robots-Tag", value) for value in values), policy=policy)


@pytest.mark.parametrize(
    "value",
    [
        "noai",
        "noimageai",
        "NoIndex",
        "noimageindex",
        "noml",
        "none",
        "nofollow, noai",
        "nofollow,noimageindex , nosnippet",
        "my-bot: noai",
        "MY-BOT: nofollow, noindex",
        "otherbot: nofollow, my-bot: noindex",
        "*: noindex",
        "max-snippet: 20, noindex",
        "unavailable_after: 25 Jun 2010 15:00:00 PST, noai",
    ],
)
def test_opts_out(value):
    assert tag(value) is not None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "all",
        "nofollow",
        "noindexing",
        "otherbot: noindex",
        "otherbot: nofollow, noindex",
        "my-bot: nofollow, otherbot: noindex",
        "max-image-preview: none",
        "my-bot-2: noai",
    ],
)
def test_does_not(value):
    assert tag(value) is None


def test_any_of_several_headers_counts():
    assert tag("nofollow", "otherbot: noindex", "noai") == "X-Robots-Tag: noai"


def test_which_directives_count_is_the_users_choice():
    policy = DownloadPolicy(opt_out_directives=("noai",))
    assert tag("noindex", policy=policy) is None
    assert tag("noai", policy=policy) is not None
    assert tag("noai", policy=DownloadPolicy(respect_x_robots_tag=False)) is None


def test_text_and_data_mining_reservation():
    assert said(("tdm-reservation", "1")) == "TDM-Reservation: 1"
    assert said(("tdm-reservation", "0")) is None
    assert said(("tdm-reservation", "1"), policy=DownloadPolicy(respect_tdm_reservation=False)) is None
