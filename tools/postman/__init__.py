"""The collections of `postman/`: one for each face, made from the service's own OpenAPI document and from the ways that people go through it."""
