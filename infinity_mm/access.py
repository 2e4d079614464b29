"""How to come by a source's files: what a person must do for each kind of access that a card can state."""

from __future__ import annotations

from infinity_mm.sources.base import Card


def how_to_get(card: Card) -> str:
    """Return one sentence on where the files are and what stands before them."""
    hub = [f"https://huggingface.co/datasets/{name}" for name in card.hub_ids]
    places = ", ".join((*hub, *card.urls)) or "its publisher"
    if card.access == "withdrawn":
        return (
            f"withdrawn by its publisher: it is not offered any more, so only files that you have already can be read "
            f"(background: {places})"
        )
    if card.access == "gated":
        door = hub[0] if hub else places
        return f"gated: accept the terms at {door} while logged in, then set HF_TOKEN to a token of that account"
    if card.access == "registration":
        return f"needs a registration: sign up and download at {', '.join(card.urls) or places}"
    if card.hub_ids and not card.hub_is_root:
        return f"get them from {places}; the pictures are not beside the rows on the hub: put both below one folder"
    root = f"; on the hub, --root hf://datasets/{card.hub_ids[0]} reads it in place" if card.hub_ids else ""
    return f"get them from {places}{root}"


def start_command(card: Card) -> str:
    """Return a command that ingests the first rows of a source."""
    on_hub = card.hub_ids and card.hub_is_root and card.access in ("open", "gated")
    root = f"hf://datasets/{card.hub_ids[0]}" if on_hub else "DIR"
    return f"infinity-mm ingest {card.name} --root {root} --work runs/{card.name} --limit 100"
