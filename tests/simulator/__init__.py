"""The simulator, held to the contracts that it plays."""
