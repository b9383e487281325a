"""Several hosts on a network of their own, one of them cut off and back, under traffic: `make hosts`."""
