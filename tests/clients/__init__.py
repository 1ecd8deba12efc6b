"""Real GraphQL clients against a real server: what their users rely on."""
