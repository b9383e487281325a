"""What can go wrong with features."""

from tallystick.core.errors import DomainError

__all__ = ["FeatureInUse", "TooManyFeatures"]


class FeatureInUse(DomainError):
    code, status = "FEATURE_IN_USE", 409
    title = "Products have this feature"
    action = "Take it from its products first: PUT /api/products/{id}/features without it."


class TooManyFeatures(DomainError):
    code, status = "TOO_MANY_FEATURES", 409
    title = "There are too many features"
    action = "Delete features that no product has."
