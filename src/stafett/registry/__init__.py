"""The public face: trials, adoption decisions, sites, readiness. No login, no patient."""
