"""Coupons, promotion codes and the discounts they give: the mirror of Stripe's."""
