"""From a log to the figures of a network: estimates with intervals, and how well they fit."""
