"""The doors, tested on real sockets and a real database."""
