"""The service's own pages: health, readiness and metrics."""
