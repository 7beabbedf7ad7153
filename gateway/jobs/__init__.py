"""Training jobs as services: asked over HTTP, judged by the policy, on record; the airlock."""
