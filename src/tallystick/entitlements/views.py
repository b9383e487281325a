"""Features and entitlements as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tallystick.entitlements.models import Entitlement, Feature, GrantedFeature, ProductFeature

__all__ = ["check_view", "entitlements_view", "feature_view", "product_features_view"]


def feature_view(feature: Feature) -> dict[str, Any]:
    return {
        "key": feature.key,
        "object": "feature",
        "name": feature.name,
        "created_at": feature.created_at,
        "updated_at": feature.updated_at,
    }


def product_features_view(stripe_product_id: str, features: Sequence[ProductFeature]) -> dict[str, Any]:
    return {"product": stripe_product_id, "data": features, "has_more": False}


def entitlements_view(user: str, as_of: datetime, found: Entitlement) -> dict[str, Any]:
    data = [
        {"feature": feature.feature, "name": feature.name, "value": feature.value, **_by(feature)}
        for feature in found.features
    ]
    return {"user": user, "as_of": as_of, "data": data, "products": found.products}


def check_view(user: str, as_of: datetime, key: str, found: GrantedFeature | None) -> dict[str, Any]:
    value = found.value if found else None
    return {
        "user": user,
        "as_of": as_of,
        "feature": key,
        "entitled": found is not None,
        "value": value,
        **_by(found),
    }


def _by(feature: GrantedFeature | None) -> dict[str, Any]:
    by = feature.by if feature else None
    return {
        "product": by.product if by else None,
        "subscription": by.subscription if by else None,
        "quantity": by.quantity if by else None,
        "state": by.state if by else None,
        "until": by.until if by else None,
    }
