"""What tests share: small real parts, recordings, the oracle, robots over the middleware, the public code."""
