"""Push: events of the node to clients that subscribed, over WebSocket and server-sent events."""
