"""The lake: events sealed from the log into open files, and read back from them."""
