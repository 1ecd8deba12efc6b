"""The crash test: servers and PostgreSQL are killed at random under load; nothing acknowledged is lost or doubled."""
