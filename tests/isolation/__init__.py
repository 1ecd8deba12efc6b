"""No tenant sees or changes another's rows, through whatever door (issue "Must show"; T3)."""
