"""The one base of all configuration and data models: frozen, strict about names; and files that a recipe names."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Frozen(BaseModel):
    """Immutable pydantic model that refuses unknown keys."""

    # Infinity and NaN have no JSON: a threshold of them would come out of a task's parameters as null.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NamedFile(Frozen):
    """A file beside a recipe; written there as its path alone."""

    file: str

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value


class TextFile(NamedFile):
    """A text file beside a recipe."""

    #: The content; filled in when the recipe is loaded, so that every worker has it and the manifest shows it.
    text: str = ""
