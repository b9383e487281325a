"""The catalogue: products and prices, served from the mirror."""
