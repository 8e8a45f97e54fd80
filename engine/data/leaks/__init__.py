"""One file a way to find a leak: an index of the protected documents, and what holds a document against it."""
