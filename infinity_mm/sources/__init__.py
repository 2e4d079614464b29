"""One module per source, and the reader families they share."""
