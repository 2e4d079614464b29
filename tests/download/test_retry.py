import pytest

from infinity_mm.download.request import FAILURE_REASONS
from infinity_mm.download.retry import REFUSED_BY_POLICY, TRANSIENT, is_due


def test_every_reason_named_here_is_declared_and_in_one_class():
    assert set(FAILURE_REASONS) >= TRANSIENT | REFUSED_BY_POLICY
    assert not TRANSIENT & REFUSED_BY_POLICY


@pytest.mark.parametrize("reason", FAILURE_REASONS)
def test_what_is_due_again(reason):
    assert is_due(reason, "p", "p", "all")
    assert not is_due(reason, "p", "q", "none")
    assert is_due(reason, "p", "p", "transient") == (reason in TRANSIENT)
    assert is_due(reason, "p", "q", "transient") == (reason in TRANSIENT | REFUSED_BY_POLICY)
