"""From a document's text to an operation that may run: parsed, limited, valid, authorised."""
