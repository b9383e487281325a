"""Figures: what the business earns and loses, day by day, from the mirror."""
