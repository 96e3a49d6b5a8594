"""What becomes of recordings of every kind: a table of rows, each made, rendered by the real pipeline and judged."""
