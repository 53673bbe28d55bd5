"""Use cases: who may do what. Ties the rooms together; the only writer."""
