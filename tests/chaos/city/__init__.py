"""The city's crash test: outside systems fail in every way, workers and Redis are killed; nothing is filed twice."""
