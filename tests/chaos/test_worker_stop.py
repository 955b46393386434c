"""A worker that is told to stop leaves in good order; one that was frozen finds itself locked out."""
