"""The whole of Tallystick in one process under one clock, while the world misbehaves: stories drawn from a seed."""
