"""The alphabet: base model, canonical bytes, references, YAML loading with positions, errors, diff, JSON Schema."""
