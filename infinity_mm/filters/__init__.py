"""One module per filter; `infinity_mm.filters.base` is their contract."""
