"""Outside systems (C7): how a tenant reaches each, who may change that, and what is told of it."""
