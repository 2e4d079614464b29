"""Data sets on the Hugging Face hub as roots: ``hf://datasets/OWNER/NAME[@REVISION][/path]``, pinned to a commit.

A branch moves whenever its owner pushes. So a revision is resolved to a commit once, when a run folder first sees it,
and everything is read from that commit from then on; `infinity_mm.fs` opens the pinned URI through
huggingface_hub's file system. The token comes from the environment (``HF_TOKEN``) or from `hf auth login`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from infinity_mm.errors import SourceError

_SCHEME = "hf://"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHAPE = re.compile(
    r"hf://datasets/(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>refs/(?:convert|pr)/[^/\s]+|[^/\s]+))?(?P<path>(?:/.*)?)"
)


@dataclass(frozen=True)
class HubRoot:
    """A place inside a data set on the hub."""

    #: ``OWNER/NAME``.
    repo: str
    #: Branch, tag or commit.
    revision: str
    #: "" or "/" and a path.
    path: str

    @property
    def key(self) -> str:
        """``OWNER/NAME@REVISION``, under which its commit is remembered."""
        return f"{self.repo}@{self.revision}"

    def at(self, commit: str) -> str:
        """Return the URI of this place at a revision."""
        return f"{_SCHEME}datasets/{self.repo}@{quote(commit, safe='')}{self.path}"


def is_hub(uri: str) -> bool:
    """True for a place on the hub."""
    return uri.startswith(_SCHEME)


def parse_hub(uri: str) -> HubRoot:
    """Return the parts of an ``hf://`` URI; raises `SourceError` for one that names no data set."""
    match = _SHAPE.fullmatch(uri)
    if match is None:
        raise SourceError(f"{uri}: expected hf://datasets/OWNER/NAME, with @REVISION if you like, and a path below it")
    return HubRoot(match["repo"], unquote(match["revision"] or "main"), match["path"].rstrip("/"))


def commit_of(uri: str) -> str:
    """Return the commit that a URI is pinned to, "" for one that is not, or not on the hub."""
    if not is_hub(uri):
        return ""
    revision = parse_hub(uri).revision
    return revision if _COMMIT.fullmatch(revision) else ""


def pin(uri: str, known: Mapping[str, str]) -> tuple[str, str]:
    """Return the URI at its commit, and the commit: the one that is `known` (`HubRoot.key` -> commit), or the hub's.

    Raises `SourceError` that says what to do where there is no such data set or revision, where it is gated, or where
    the hub cannot be reached.
    """
    root = parse_hub(uri)
    commit = known.get(root.key) or ask_commit(root)
    return root.at(commit), commit


def ask_commit(root: HubRoot) -> str:
    """Return the commit that the hub has for a revision now, having checked that the files may be read."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"https://huggingface.co/datasets/{root.repo}"
    token = "set HF_TOKEN to a token of that account"
    try:
        api = HfApi()
        commit = api.dataset_info(root.repo, revision=root.revision, timeout=30).sha
        api.auth_check(root.repo, repo_type="dataset")
    except GatedRepoError as error:
        raise SourceError(f"{root.repo} is gated: accept the terms at {page} while logged in, then {token}") from error
    except RevisionNotFoundError as error:
        raise SourceError(
            f"{root.repo} has no revision {root.revision!r}: see {page}/tree/main for branches"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise SourceError(
            f"no data set {root.repo} that may be read: check the name; if it is private or gated, ask for access at "
            f"{page} and {token}"
        ) from error
    except HfHubHTTPError as error:
        raise SourceError(f"the hub refuses {root.key}: {str(error).splitlines()[0]}") from error
    except (HTTPError, OSError) as error:
        raise SourceError(
            f"cannot reach the hub for {root.key}: {error}. Check the network, proxies and HF_HUB_OFFLINE; or fetch it "
            f"elsewhere (`hf download --repo-type dataset {root.repo} --local-dir DIR`) and take DIR as root"
        ) from error
    if not commit:
        raise SourceError(f"the hub names no commit for {root.key}; name one: hf://datasets/{root.repo}@COMMIT")
    return str(commit)
