"""The drift guard, and the core that the webhook shares with it."""
