"""Tenants: who they are, how one comes and is suspended, what its plan lets it use."""
