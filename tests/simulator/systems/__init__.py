"""Each outside system's contract, with the bodies that its documentation shows."""
