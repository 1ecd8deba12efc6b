"""The doors: HTTP and WebSocket, sign-in, limits, health, metrics, the command line, and the life of the process."""
