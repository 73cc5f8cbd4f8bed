"""HTTP: status, health, metrics, the API."""
