"""Licence policies: which rows may stay, judged by the licence that every row carries.

This is bookkeeping, not legal advice: a policy compares names. The names are SPDX identifiers where the publisher's
words allow it; what is not in the table below (a publisher's own terms, "unknown") is refused by every named policy
but ``any``, unless it is allowed by name.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from pydantic import model_validator

from infinity_mm.frozen import Frozen

PolicyName = Literal["any", "commercial", "permissive", "listed"]

#: What a family of licences allows: (commercial use, works under other terms). By SPDX identifier without version.
_FAMILIES: dict[str, tuple[bool, bool]] = {
    "apache": (True, True),
    "mit": (True, True),
    "mit-0": (True, True),
    "bsd-2-clause": (True, True),
    "bsd-3-clause": (True, True),
    "isc": (True, True),
    "zlib": (True, True),
    "unlicense": (True, True),
    "cc0": (True, True),
    "pddl": (True, True),
    "odc-by": (True, True),
    "cdla-permissive": (True, True),
    "cc-by": (True, True),
    "cc-pdm": (True, True),
    "cc-by-sa": (True, False),
    "cc-by-nd": (True, False),
    "odbl": (True, False),
    "cdla-sharing": (True, False),
    "gfdl": (True, False),
    "gpl": (True, False),
    "lgpl": (True, False),
    "agpl": (True, False),
    "mpl": (True, False),
    "cc-by-nc": (False, False),
    "cc-by-nc-sa": (False, False),
    "cc-by-nc-nd": (False, False),
}
_VERSION = re.compile(r"-v?\d+(\.\d+)*(-(only|or-later|[a-z]{2}|igo))?$")


class LicensePolicy(Frozen):
    """Which licences may stay. A name in `deny` never may, one in `allow` always may, the policy decides on the rest.

    ``any``: all may. ``commercial``: those known to allow commercial use. ``permissive``: those of them that put no
    condition on the licence of what is made with them (no share-alike, no copyleft, derivatives allowed). ``listed``:
    none.
    """

    policy: PolicyName = "any"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return parse_policy(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _not_both(self) -> LicensePolicy:
        both = sorted({key(name) for name in self.allow} & {key(name) for name in self.deny})
        if both:
            raise ValueError(f"allowed and denied at once: {', '.join(both)}")
        if self.policy == "listed" and not self.allow:
            raise ValueError("the policy 'listed' needs names under allow")
        return self

    @property
    def refuses_nothing(self) -> bool:
        """True where every licence may stay."""
        return self.policy == "any" and not self.deny

    def refusal(self, license: str) -> str | None:
        """Return why rows of a licence may not stay, or None."""
        name = key(license)
        if name in {key(denied) for denied in self.deny}:
            return f"{license} is denied by name"
        if self.policy == "any" or name in {key(allowed) for allowed in self.allow}:
            return None
        known = _FAMILIES.get(_VERSION.sub("", name))
        if self.policy == "listed":
            return f"{license} is not among the allowed: {', '.join(self.allow)}"
        if known is None:
            return f"{license} is not known to be {self.policy}; allow it by name if it is"
        return None if known[0 if self.policy == "commercial" else 1] else f"{license} is not {self.policy}"

    def text(self) -> str:
        """Return the policy as `parse_policy` reads it."""
        return ",".join((self.policy, *(f"+{name}" for name in self.allow), *(f"-{name}" for name in self.deny)))


def parse_policy(text: str) -> dict[str, Any]:
    """Read ``commercial``, ``permissive,+unknown``, ``any,-CC-BY-NC-4.0``, or a list of names that alone may stay.

    Returns the fields of a `LicensePolicy`. Raises ValueError where a policy stands in the middle, or nothing at all.
    """
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise ValueError(f"expected one of {', '.join(get_args(PolicyName))}, or names of licences, got {text!r}")
    policy = items.pop(0) if items[0] in get_args(PolicyName) else None
    bare = [item for item in items if item[0] not in "+-"]
    if policy not in (None, "listed") and bare:
        raise ValueError(f"{bare[0]!r} after {policy!r}: write +{bare[0]} to allow it too, -{bare[0]} to deny it")
    allow = [item[1:] if item[0] == "+" else item for item in items if item[0] != "-"]
    deny = [item[1:] for item in items if item[0] == "-"]
    return {"policy": policy or ("listed" if allow else "any"), "allow": tuple(allow), "deny": tuple(deny)}


def key(license: str) -> str:
    """Return a licence's name for comparison: case, blanks and underscores do not tell licences apart."""
    return re.sub(r"[\s_-]+", "-", license.strip().casefold())
