"""The one base of all configuration and data models: frozen, strict about names."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable pydantic model that refuses unknown keys."""

    # Infinity and NaN have no JSON: a threshold of them would come out of a task's parameters as null.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
