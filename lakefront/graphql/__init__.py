"""The main door: the schema, its types and resolvers; ``plan`` turns an operation into what may and will run."""
