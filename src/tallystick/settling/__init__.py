"""What is still to be done: the sandbox asks before it moves business time on."""
