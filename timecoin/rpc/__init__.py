"""JSON-RPC over HTTP: server, authentication, method tables, client."""
