"""The public face: trials, sites, adoption decisions, readiness."""
