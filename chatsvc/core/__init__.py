"""The house: what the service does, a module per noun, plain functions. Knows nothing of HTTP."""
