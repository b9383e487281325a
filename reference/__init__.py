"""The reference pages of docs/, and the published OpenAPI document, made from the source: `make reference`."""
