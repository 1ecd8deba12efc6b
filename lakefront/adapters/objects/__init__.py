"""The object store: one interface, two drivers (a local folder, S3 and whatever speaks like it)."""
