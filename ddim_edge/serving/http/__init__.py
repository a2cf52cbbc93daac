"""HTTP: request bodies become requests, images become responses; security, access log, errors."""
