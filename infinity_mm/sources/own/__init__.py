"""Own data without code: a source made from the name of a reader family and a map of its columns."""
