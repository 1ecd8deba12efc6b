"""The web pages in a real browser, without any network but the server."""
