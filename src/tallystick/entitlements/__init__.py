"""What a user may use now, and until when: features of products, and the access that subscriptions grant."""
