"""The loaders."""
