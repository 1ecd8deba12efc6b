"""What the system does: use-cases that GraphQL and REST call alike; no door is known here."""
