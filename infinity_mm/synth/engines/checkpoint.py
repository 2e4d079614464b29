"""Where a model's files are, and which revision they are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from infinity_mm.errors import ModelError
from infinity_mm.nearest import nearest
from infinity_mm.synth.chat import EngineInfo, ModelSpec
from infinity_mm.synth.engines.folders import check_folder

#: Name of the small trained checkpoint that ships with the package.
EMBEDDED: Final = "embedded"
#: Name of a checkpoint with random weights, built on the spot: its words are noise.
RANDOM: Final = "random"
_PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model on the local disk."""

    folder: Path
    #: The name that the recipe gave.
    name: str
    #: Hub commit, or 16 hex digits over the folder's files.
    revision: str

    @property
    def dtype(self) -> str:
        """``float32`` where the weights are stored so, else ``auto``: engines round float32 down unless told."""
        try:
            config = json.loads((self.folder / "config.json").read_bytes())
        except (OSError, ValueError):
            return "auto"
        stored = config.get("dtype") or config.get("torch_dtype")
        return "float32" if stored == "float32" else "auto"

    def under_transformers(self, batch_invariant: bool) -> EngineInfo:
        """Return what answers where transformers runs it in this process; imports torch and transformers."""
        import torch
        import transformers

        return EngineInfo(
            engine="transformers",
            version=f"transformers {transformers.__version__}, torch {torch.__version__}",
            model=self.name,
            revision=self.revision,
            batch_invariant=batch_invariant,
        )


def locate(spec: ModelSpec) -> Checkpoint:
    """Return the model's folder: one that needs no download, a local folder, or the hub's snapshot (downloaded once).

    Raises
    ------
    ModelError
        The folder holds no model, or the hub does not give it.
    """
    if spec.name in (EMBEDDED, RANDOM):
        from infinity_mm.synth.tiny_model import embedded_checkpoint, random_checkpoint

        folder = embedded_checkpoint() if spec.name == EMBEDDED else random_checkpoint()
        return Checkpoint(folder, spec.name, folder_revision(folder))
    folder = Path(spec.name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} is no model folder: it has no config.json. Give a folder written by "
                             "transformers' save_pretrained, a hub name, 'embedded' or 'random'.")  # fmt: skip
        return Checkpoint(folder.resolve(), spec.name, folder_revision(folder))
    return _hub_snapshot(spec)


def check_place(spec: ModelSpec, pictures: bool = True) -> None:
    """Look for a model before any work, without the network: a whole folder here, or what could be a hub name.

    `pictures` as for `check_folder`. Raises `ModelError` where it is neither.
    """
    if spec.base_url is not None or spec.name in (EMBEDDED, RANDOM):
        return
    folder = Path(spec.name).expanduser()
    if folder.is_dir():
        check_folder(folder, pictures)
        return
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(spec.name)
    except HFValidationError as fault:
        raise ModelError(_no_such(spec.name)) from fault


def folder_at_hand(spec: ModelSpec) -> Path | None:
    """Return the folder of the checkpoint where it is on this machine, a local one or the hub's cached one."""
    folder = Path(spec.name).expanduser()
    if folder.is_dir():
        return folder
    if spec.base_url is not None or spec.name in (EMBEDDED, RANDOM):
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(spec.name, "config.json", revision=spec.revision)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def reach(spec: ModelSpec) -> bool:
    """Have the hub send the config.json of a model that is not here: a few kilobytes that show that it can be had.

    True where it was sent. Raises `ModelError` where the hub is away, does not know the model, or refuses it.
    """
    if spec.base_url is not None or spec.name in (EMBEDDED, RANDOM) or folder_at_hand(spec) is not None:
        return False
    _snapshot(spec, ("config.json",))
    return True


def _no_such(name: str) -> str:
    folder = Path(name).expanduser()
    beside = [path.parent.name for path in folder.parent.glob("*/config.json")]
    hint = f"; {nearest(folder.name, beside)}" if beside else ""
    return f"model {name!r} is neither a folder here nor a hub name (owner/name){hint or '; correct it'}"


def _out_of_reach(spec: ModelSpec, fault: Exception) -> str:
    words = str(fault).strip().splitlines() or [type(fault).__name__]
    return (
        f"model {spec.name!r} (revision {spec.revision or 'default'}) is no folder here, and could not be had from the "
        f"hub: {words[0].rstrip('.')}. Check the name, the network and HF_TOKEN, or download it elsewhere and give its "
        "folder as the model's name."
    )


def _hub_snapshot(spec: ModelSpec) -> Checkpoint:
    folder = _snapshot(spec, _PATTERNS)
    return Checkpoint(folder, spec.name, folder.name)


def _snapshot(spec: ModelSpec, patterns: Sequence[str]) -> Path:
    """Return the folder of the hub's files under these names, those downloaded that are not here."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(spec.name, revision=spec.revision, allow_patterns=list(patterns)))
    except HFValidationError as fault:
        raise ModelError(_no_such(spec.name)) from fault
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as fault:
        raise ModelError(_out_of_reach(spec, fault)) from fault


def folder_revision(folder: Path) -> str:
    """Return 16 hex digits of a SHA-256 over the names and bytes of weights, configuration and tokenizer files.

    Files are taken in the order of their names; other files (a README, logs) do not count.
    """
    digest = hashlib.sha256()
    paths = {path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(paths, key=lambda path: path.name):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256")
        digest.update(f"{path.name}\x1f{content.hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
