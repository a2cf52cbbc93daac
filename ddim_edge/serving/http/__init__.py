"""HTTP: request bodies to requests, images to responses; security, access log, error responses."""
