"""Licence policies: what each lets stay, and how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infinity_mm.licenses import LicensePolicy
from infinity_mm.sources.catalogue import load, names


@pytest.mark.parametrize(
    ("license", "commercial", "permissive"),
    [
        ("Apache-2.0", True, True),
        ("mit", True, True),
        ("CC BY 4.0", True, True),
        ("CC-BY-3.0-US", True, True),
        ("CC0-1.0", True, True),
        ("ODC-BY-1.0", True, True),
        ("CC-BY-SA-4.0", True, False),
        ("CC-BY-ND-2.0", True, False),
        ("GPL-3.0-only", True, False),
        ("CC-BY-NC-4.0", False, False),
        ("CC-BY-NC-SA-4.0", False, False),
        ("unknown", False, False),
        ("other: CC-3M terms", False, False),
        ("cc-by-commercial-please", False, False),
    ],
)
def test_named_policies(license, commercial, permissive):
    assert (LicensePolicy(policy="commercial").refusal(license) is None) == commercial
    assert (LicensePolicy(policy="permissive").refusal(license) is None) == permissive
    assert LicensePolicy().refusal(license) is None


def test_what_is_not_known_is_refused_unless_allowed_by_name():
    assert "allow it by name" in LicensePolicy(policy="commercial").refusal("unknown")
    assert LicensePolicy.model_validate("commercial,+unknown").refusal("Unknown") is None
    assert LicensePolicy.model_validate("commercial,+unknown").refusal("other: terms") is not None


def test_names_deny_and_allow_before_the_policy():
    policy = LicensePolicy.model_validate("any,-CC-BY-NC-4.0")
    assert policy.refusal("cc by nc 4.0") == "cc by nc 4.0 is denied by name"
    assert policy.refusal("CC-BY-NC-2.0") is None
    listed = LicensePolicy.model_validate("MIT, Apache-2.0")
    assert listed.policy == "listed"
    assert listed.refusal("mit") is None
    assert listed.refusal("CC-BY-4.0") == "CC-BY-4.0 is not among the allowed: MIT, Apache-2.0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected one of any, commercial"),
        ("commercial,MIT", "write \\+MIT"),
        ("any,+MIT,-mit", "allowed and denied at once: mit"),
        ("listed", "needs names"),
    ],
)
def test_policies_that_mean_nothing(text, words):
    with pytest.raises(ValidationError, match=words):
        LicensePolicy.model_validate(text)


NAMES = st.lists(st.sampled_from(["MIT", "unknown", "CC-BY-NC-4.0", "other: terms"]), max_size=2, unique=True)


@given(policy=st.sampled_from(["any", "commercial", "permissive"]), allow=NAMES, deny=NAMES)
def test_the_text_of_a_policy_reads_back(policy, allow, deny):
    given_policy = LicensePolicy(policy=policy, allow=tuple(set(allow) - set(deny)), deny=tuple(deny))
    assert LicensePolicy.model_validate(given_policy.text()) == given_policy


def test_permissive_refuses_whatever_commercial_refuses_across_the_catalogue():
    for name in names():
        license = load(name).card.license
        if LicensePolicy(policy="permissive").refusal(license) is None:
            assert LicensePolicy(policy="commercial").refusal(license) is None
