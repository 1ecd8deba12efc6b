"""Outside systems, one file each; ``lakefront.adapters.registry`` finds them."""
